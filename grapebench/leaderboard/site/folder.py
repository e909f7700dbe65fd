"""A folder that is replaced as a whole, and only where it is what we wrote."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from grapebench.errors import UserError
from grapebench.files import explain_os_error

MARK = "grapebench-site.json"
"""Says that a folder is a site."""


def check(path: Path) -> None:
    """UserError where something else than a site stands there; an empty folder is nothing."""
    if not path.exists() or (path / MARK).is_file():
        return
    if not path.is_dir():
        raise UserError("this is a file, and the site is a folder", file=path, fix="name another with --out")
    if any(path.iterdir()):
        what = f"the folder is not empty and no site ({MARK} is not in it), so it is left alone"
        raise UserError(what, file=path, fix="name another with --out")


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; when the block ends without an error, it takes the place of `path`."""
    check(path)
    path = path.absolute()
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        fresh, old = temporary / "new", temporary / "old"
        fresh.mkdir()
        yield fresh
        check(path)
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    except OSError as error:
        raise explain_os_error(error, path) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
