"""The command `grapebench` in processes of its own that need not import the libraries anew.

Each is forked from one that has imported torch and the like, and nothing else: no test has run in that one, so that a
command finds what it would find in a fresh process, a second or five sooner. What the importing itself does is tested
where processes are begun from nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

IMPORTED = (
    "torch", "transformers.models.auto.modeling_auto", "transformers.models.llama.modeling_llama", "open_clip", "trl",
    "trl.trainer.grpo_trainer", "peft", "datasets", "accelerate", "scipy.stats", "pyarrow.parquet", "numpy", "pydantic",
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def start(
    arguments: Sequence[str], folder: Path, *, out: Path | None = None, environment: Mapping[str, str] | None = None
) -> BaseProcess:
    """Begin `grapebench <arguments>` in a folder, in this process's environment or another one.

    Its output goes to `out`.stdout and `out`.stderr, or where the output of tests goes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*IMPORTED, __name__])
    told = dict(os.environ if environment is None else environment)
    process = context.Process(target=_command, args=(list(arguments), str(folder), told, out and str(out)))
    process.start()
    return process


def run(arguments: Sequence[str], folder: Path, out: Path) -> Done:
    """The same, waited for; `out` names a place for two files."""
    process = start(arguments, folder, out=out)
    process.join()
    assert process.exitcode is not None
    return Done(process.exitcode, *(Path(f"{out}.{name}").read_text(encoding="utf-8") for name in ("stdout", "stderr")))


def _command(arguments: list[str], folder: str, environment: dict[str, str], out: str | None) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if out is not None:
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            file = os.open(f"{out}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, descriptor)
            os.close(file)
    sys.argv = ["grapebench", *arguments]
    sys.path.insert(0, "")  # as `python -m grapebench` has its working directory
    from grapebench.__main__ import command

    sys.exit(command())
