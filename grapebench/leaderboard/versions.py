"""Releases of the board: their numbers, and the folder they lie in.

A release has a number of its own, X.Y, and says by which version of the rules it was measured. Numbers only go up. X is
raised with the X of the rules or a task's revision: within one X, the scores of a row can be compared, though rules
whose Y was raised may put other intervals and p-values beside them.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from pydantic import ValidationError

from grapebench import files
from grapebench.errors import UserError
from grapebench.leaderboard.frozen import Release, dump

_NUMBER = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")


def number(version: str) -> tuple[int, int]:
    """X and Y. Raises UserError for what is no such number."""
    found = _NUMBER.fullmatch(version)
    if not found:
        raise UserError(f"{version!r} is no version of a board", fix="give two whole numbers, such as 1.0")
    return int(found[1]), int(found[2])


def released(folder: Path) -> list[str]:
    """The releases in a folder, oldest first."""
    names = [path.stem for path in folder.glob("*.json") if _NUMBER.fullmatch(path.stem)]
    return sorted(names, key=number)


def read(folder: Path, version: str) -> Release:
    """One release. Raises UserError where there is none of that number, or it cannot be read."""
    number(version)
    path = folder / f"{version}.json"
    try:
        return Release.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(released(folder)) or "none yet"
        raise UserError(f"there is no release {version}", file=path, fix=f"there is: {known}") from None
    except (ValidationError, UnicodeDecodeError) as error:
        told = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.reason
        raise UserError(f"not a release: {told}", file=path) from None
    except OSError as error:
        raise files.explain_os_error(error, path) from error


def check(version: str, release: Release, folder: Path) -> None:
    """Raise UserError where a release of that number stands, a newer one does, or X had to be raised."""
    before = released(folder)
    if version in before:
        raise UserError(f"the release {version} exists", file=folder / f"{version}.json", fix=_next(before[-1]))
    if not before:
        return
    if number(version) < number(before[-1]):
        raise UserError(
            f"{version} is not newer than {before[-1]}, the last release", file=folder, fix=_next(before[-1])
        )
    last = read(folder, before[-1])
    rules = [number(one.benchmark)[0] for one in (last, release)]
    changed = [f"the rules ({last.benchmark} → {release.benchmark})"] if rules[0] != rules[1] else []
    for task, revision in release.revisions.items():
        if (old := last.revisions.get(task, revision)) != revision:
            changed.append(f"the revision of {task} ({old} → {revision})")
    if changed and number(version)[0] == number(last.version)[0]:
        what = f"since {last.version} figures changed that no longer compare: {', '.join(changed)}"
        raise UserError(what, fix=f"it is {number(last.version)[0] + 1}.0")


def _next(last: str) -> str:
    x, y = number(last)
    return f"the next one is {x}.{y + 1}"


def titled(page: str, release: Release) -> str:
    """The page as that of a release: its title says which."""
    title, _, rest = page.partition("\n")
    told = f"As it stood on {release.date}, measured by version {release.benchmark} of the rules."
    return f"{title}, release {release.version}\n\n{told}\n{rest}"


def write(folder: Path, release: Release, page: str) -> list[Path]:
    """Write X.Y.json and X.Y.md, both or neither."""
    contents = {f"{release.version}.json": dump(release), f"{release.version}.md": page}
    paths = [folder / name for name in contents]
    with contextlib.ExitStack() as stack:
        for path in paths:
            stack.enter_context(files.atomic_file(path)).write_text(contents[path.name], encoding="utf-8")
    return paths
