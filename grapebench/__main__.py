"""`grapebench`, and `python -m grapebench`: the command line of this process, and the end of the process."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress

BUG = 1


def command() -> int:
    """`main` of `grapebench.cli`, after which the process ends as it stands.

    Python would take every library apart before it ends, object by object: with torch that takes a second. All that was
    to be done at exit is done first, since what is registered first is called last.
    """
    code = BUG

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    atexit.register(end)
    from grapebench.cli.main import main

    code = main()
    return code


if __name__ == "__main__":
    sys.exit(command())
