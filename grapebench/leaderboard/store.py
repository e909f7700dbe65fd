"""Finding results in folders: `<store>/<suite>/<task>/<retriever>/<rewriter>/<id>/result.json`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from grapebench import catalog, files
from grapebench.errors import UserError
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.leaderboard import attribution
from grapebench.leaderboard.board import main_figure
from grapebench.leaderboard.results import (
    I2T_RUN_FILE,
    PER_IMAGE_FILE,
    PER_QUERY_FILE,
    QUERIES_FILE,
    RESULT_FILE,
    REWRITES_FILE,
    RUN_FILE,
    SCHEMA_VERSION,
    SIMILARITIES_FILE,
    SUBSET_RUN_FILE,
    Result,
    result_id,
)

PUBLISHED_BYTES = 300 * 1024
"""git holds small things only."""
LEFT_OUT = (RUN_FILE, SUBSET_RUN_FILE, I2T_RUN_FILE, QUERIES_FILE)
"""Not published: large, and the benchmark's own texts; all can be made again from its data and the rewrites."""
_WANTED = (PER_QUERY_FILE, REWRITES_FILE, PER_IMAGE_FILE, SIMILARITIES_FILE)
"""What is published beside result.json as far as it fits, the first of these first: boards compare rows by the ranks
of queries."""
OPTIONAL = (*LEFT_OUT, *_WANTED)
"""What a published result may lack."""
_ID = re.compile(r"[0-9a-f]{4,16}")


class _Versioned(BaseModel):
    """All that is read of a result before its layout is known."""

    schema_version: int


@dataclass(frozen=True)
class Stored:
    """A result and where it lies."""

    result: Result
    folder: Path
    by: str | None = None
    """Who submitted it; None where nobody is named."""


class OtherVersion(UserError):
    """A result in a layout that this grapebench does not read."""


def published_dir() -> Path:
    """The results that are published with the package."""
    return catalog.folder() / "leaderboard" / "results"


def folder_of(store: Path, suite: str, task: str, retriever: str, rewriter: str, identity: str) -> Path:
    """Where a result belongs in a store. Names that are no file names are made so: the id keeps them apart."""
    parts = [re.sub(r"[^\w.@+=-]+", "_", part).lstrip(".") or "_" for part in (suite, task, retriever, rewriter)]
    return store.joinpath(*parts, identity)


def store_of(folder: Path, result: Result) -> Path | None:
    """The store that a result's folder lies in; None where it lies by itself."""
    whole = folder.resolve()
    if len(whole.parents) < 5:
        return None
    store = whole.parents[4]
    names = (result.suite, result.task, result.retriever.name, result.rewriter.name, result.id)
    return store if folder_of(store, *names) == whole else None


def load(folder: Path, *, hashes: bool = False) -> Result:
    """Read one result; UserError, naming the file, where it is not whole.

    With `hashes` the files beside it are hashed too. Those that a published result may lack may be absent.
    """
    path = folder / RESULT_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError("no result here: the file is missing", file=path) from None
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text ({error.reason})", file=path) from None
    except OSError as error:
        raise files.explain_os_error(error, path) from error
    result = _parse(text, path)
    if result_id(result.determinants) != result.id:
        raise UserError(f"the id {result.id} is not the hash of the determinants", file=path)
    for name, expected in result.files.items():
        beside = folder / name
        if not beside.is_file():
            if name not in OPTIONAL:
                raise UserError("a file of the result is missing", file=beside)
        elif hashes and files.sha256_file(beside) != expected:
            raise UserError("the file is not the one the result was written with", file=beside)
    return result


def _parse(text: str, path: Path) -> Result:
    from pydantic import ValidationError

    try:
        version = _Versioned.model_validate_json(text).schema_version
        if version != SCHEMA_VERSION:
            raise OtherVersion(
                f"schema version {version}, this grapebench reads version {SCHEMA_VERSION}",
                file=path,
                fix="the result's command makes it again, from the same rewrites",
            )
        result = Result.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise UserError(f"not a result: {key + ': ' if key else ''}{first['msg']}{more}", file=path) from None
    if result.protocol not in PROTOCOLS:
        raise UserError(f"unknown protocol {result.protocol!r}", file=path, fix=f"known are {', '.join(PROTOCOLS)}")
    if result.labelled and (main := main_figure(result.protocol)) not in result.metrics:
        raise UserError(f"not a result: {main}, the main figure of {result.protocol}, is missing", file=path)
    return result


def find(stores: Sequence[Path]) -> tuple[list[Stored], list[UserError]]:
    """All results in some stores and what is wrong with the others; one that lies in two stores is listed once.

    Several of another version of the layout, as a store of an earlier grapebench holds them, are one sentence.
    """
    found: dict[str, Stored] = {}
    broken: list[UserError] = []
    others: list[OtherVersion] = []
    for store in stores:
        for path in sorted(store.glob(f"*/*/*/*/*/{RESULT_FILE}")):
            if path.parent.name.startswith("."):
                continue  # another process is writing it
            try:
                one = Stored(load(path.parent), path.parent, attribution.read(path.parent))
            except OtherVersion as error:
                others.append(error)
            except UserError as error:
                broken.append(error)
            else:
                found.setdefault(one.result.id, one)
    if len(others) > 1:
        what = f"this and {len(others) - 1:,} more are in another layout than version {SCHEMA_VERSION} of the schema"
        broken.append(
            UserError(what, file=others[0].file, fix="their commands make them again, from the same rewrites")
        )
    else:
        broken += others
    return sorted(found.values(), key=lambda stored: stored.folder.parts[-5:]), broken


def resolve(result: str, stores: Sequence[Path]) -> Path:
    """The folder of a result that is named by its folder, its id or the unique beginning of its id."""
    folder = Path(result).expanduser()
    if folder.name == RESULT_FILE:
        folder = folder.parent
    if folder.is_dir():
        return folder
    if not _ID.fullmatch(result):
        raise UserError(f"no result {result!r}", fix="give a result's folder, or at least 4 digits of its id")
    matches: dict[str, Path] = {}
    for store in stores:
        for path in sorted(store.glob(f"*/*/*/*/{result}*/{RESULT_FILE}")):
            matches.setdefault(path.parent.name, path.parent)
    if not matches:
        places = ", ".join(map(str, stores))
        raise UserError(f"no result has an id that begins with {result!r}", fix=f"looked in {places}")
    if len(matches) > 1:
        raise UserError(f"several results begin with {result!r}: {', '.join(sorted(matches))}", fix="give more digits")
    return next(iter(matches.values()))


def publish(folder: Path, board: Path, by: str | None = None) -> Path:
    """Copy a result into a board's folder of results, without its run files and the queries' own texts.

    Where it would be too large, more stays out. Where it stands there already, it is left. `by` is who submitted it
    (see `attribution`); without it a folder that says so goes on saying so. Raises UserError where the result is not
    whole, or too large for git even so.
    """
    by = by or attribution.read(folder)
    result = load(folder, hashes=True)
    names = [RESULT_FILE, *(name for name in result.files if name not in OPTIONAL)]
    total = sum((folder / name).stat().st_size for name in names)
    if total > PUBLISHED_BYTES:
        limit = PUBLISHED_BYTES // 1024
        what = f"{RESULT_FILE} alone takes {total // 1024} KiB; a published result has at most {limit}"
        raise UserError(what, file=folder)
    for name in _WANTED:
        size = (folder / name).stat().st_size if (folder / name).is_file() else None
        if size is not None and total + size <= PUBLISHED_BYTES:
            names.append(name)
            total += size
    goal = folder_of(board, result.suite, result.task, result.retriever.name, result.rewriter.name, result.id)
    with files.atomic_folder(goal) as temporary:
        for name in names:
            shutil.copyfile(folder / name, temporary / name)
        if by is not None:
            (temporary / attribution.FILE).write_text(attribution.text(by), encoding="utf-8")
    return goal
