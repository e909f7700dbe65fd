"""The command `grapebench`: its subcommands, and how an error is told.

Only light modules are imported here; what is heavy is imported within the command that needs it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from grapebench import __version__
from grapebench.cli import (
    compare,
    data,
    export,
    headroom,
    leaderboard,
    listing,
    rewrite,
    run,
    score,
    show,
    train,
    verify,
    world,
)
from grapebench.errors import UserError
from grapebench.files import explain_os_error

INTERRUPTED = 130

# The libraries that commands import make a million objects that stay; looking through them for garbage every 700 new
# ones takes a sixth of the time that importing them does.
GARBAGE = (10_000, 10, 10)

# Rich help and tracebacks would cost a third of the start-up time, and a traceback is for a bug, which wants it plain.
app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"grapebench {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Measure whether rewriting a query helps a frozen vision-language retriever find the right image."""


app.command()(run.run)
app.command()(score.score)
app.command()(show.show)
app.command()(compare.compare)
app.command()(verify.verify)
app.command()(headroom.headroom)
app.command()(listing.tasks)
app.command()(listing.rewriters)
app.command()(listing.retrievers)
app.command()(listing.captioners)
app.add_typer(data.app, name="data")
app.add_typer(export.app, name="export")
app.add_typer(leaderboard.app, name="leaderboard")
app.add_typer(rewrite.app, name="rewrite")
app.add_typer(train.app, name="train")
app.add_typer(world.app, name="world")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's own) and return its exit code.

    0: done. 1: not everything could be done, as the command has said. 2: the user's input or machine is at fault, said
    in one line on stderr. 130: interrupted. What is raised is a bug.
    """
    gc.set_threshold(*GARBAGE)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except UserError as error:
        return _fail(error)
    except BrokenPipeError:
        # The reader of our output has left (`| head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # Libraries raise an OSError of their own, without a number, for what they cannot find or reach.
        return _fail(explain_os_error(error) if error.errno is not None else UserError(str(error)))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        from grapebench.registry import users_error

        if (told := users_error(error)) is None:
            raise
        return _fail(told)
    if code == INTERRUPTED:
        print("interrupted: the same command goes on where it was", file=sys.stderr)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(arguments, prog_name="grapebench")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _fail(error: UserError) -> int:
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    return 2
