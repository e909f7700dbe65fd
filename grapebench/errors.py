"""The one exception a user is meant to read."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """Bad input, said in one sentence: where, what, and what to do about it.

    The command line prints it without a traceback and exits with code 2.
    """

    def __init__(
        self, what: str, *, file: str | Path | None = None, line: int | None = None, fix: str | None = None
    ) -> None:
        where = "" if file is None else f"{file}:{line}: " if line is not None else f"{file}: "
        super().__init__(f"{where}{what}" + (f"; {fix}" if fix else ""))
        self.file = None if file is None else Path(file)
        self.line = line


def missing_extra(package: str, extra: str) -> UserError:
    """The error for an optional library that is not installed."""
    return UserError(f"{package} is not installed", fix=f"install it with: pip install 'grapebench[{extra}]'")
