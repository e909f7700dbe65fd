"""The hash of a mechanism's own source: what determines its answers where it has no fingerprint of its own.

A class from a file or a package may be edited between two runs, and so may the modules of its author that it imports.
Libraries are not hashed: a result records the versions of those that matter.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256, sha256_json
from grapebench.registry import BUILTIN

_OURS = Path(__file__).resolve().parent
_hashed: dict[Path, tuple[Any, str]] = {}
"""Imported files to the import that they were first hashed under, and their hash then."""


def fingerprint(made: Any, name: str, given: Sequence[Any], file: Path | None = None) -> str:
    """What tells an instance from others: its own word, or the hash of its class's source and of what it was `given`.

    A `fingerprint` is the word of the class that defines it. One that is only inherited says nothing of what the class
    of the user's changes, so both count. `file` is the file that the class was taken from. Raises UserError for a
    fingerprint that is no text, and as `source_sha256` does.
    """
    said = getattr(made, "fingerprint", None)
    if said is not None and not (isinstance(said, str) and said):
        raise UserError(f"{name}: fingerprint must be a text, not {type(said).__name__}")
    return said if said is not None and own_word(made) else of_source(type(made), given, file, said)


def of_source(mechanism: type, given: Sequence[Any], file: Path | None, inherited: str | None = None) -> str:
    """The hash of a class's source, its name and what it was `given`; and of a fingerprint that it inherits."""
    parts = [source_sha256(mechanism, file), mechanism.__qualname__, *given]
    return sha256_json(parts if inherited is None else [*parts, inherited])


def own_word(made: Any, part: str = "fingerprint") -> bool:
    """Whether an instance's own class says this of itself; classes of grapebench speak for those that they inherit."""
    mechanism = type(made)
    if _is_ours(mechanism):
        return True
    return part in vars(mechanism) or (part in getattr(made, "__dict__", {}) and "__init__" in vars(mechanism))


def source_sha256(mechanism: Callable[..., Any], file: Path | None = None) -> str:
    """Hex SHA-256 of the source behind a class or function.

    It is that of its file (and of `file`, where that only passes it on), of the files of the classes that it inherits
    from, and of all modules that these import, in their functions too, from their own package, from beside them or from
    elsewhere outside the installed libraries. Where one file is all, it is the hash of that file. For what comes from
    an installed package, its version counts too. Raises UserError where there is no source, and where a module was
    edited after this process had imported it.
    """
    roots = _roots(mechanism, file)
    if not roots:
        what = f"{getattr(mechanism, '__name__', mechanism)} has no source file, so nothing says when it changes"
        raise UserError(what, fix="give the class a fingerprint, or put it into a file")
    found = _hashes(roots, file)
    versions = sorted({told for path in roots if (told := _version(path)) is not None})
    if len(found) == 1 and not versions:
        return next(iter(found.values()))[1]
    return sha256_json([sorted(found.values()), *versions])


def _roots(mechanism: Any, file: Path | None) -> dict[Path, str]:
    """The files that it is written in itself, with the names that they are known by."""
    while isinstance(mechanism, functools.partial):
        mechanism = mechanism.func
    mechanism = inspect.unwrap(mechanism)
    if not (inspect.isclass(mechanism) or inspect.isroutine(mechanism)):
        mechanism = type(mechanism)
    parts = mechanism.__mro__ if inspect.isclass(mechanism) else [mechanism]
    paths = [] if file is None else [file.resolve()]
    for part in parts:
        path = _file_of(part)
        if path is None or (_is_ours(part) and part is not mechanism):
            continue
        if not _in_libraries(path) or _version(path) is not None or (part is mechanism and file is None):
            paths.append(path)
    return {path: path.relative_to(_home(path)).as_posix() for path in paths}


def _file_of(part: Any) -> Path | None:
    try:
        path = Path(inspect.getfile(part)).resolve()
    except (TypeError, OSError):
        return None
    return path if path.is_file() else None


def _is_ours(part: Any) -> bool:
    return str(getattr(part, "__module__", "")).partition(".")[0] == _OURS.name


def _hashes(roots: dict[Path, str], file: Path | None) -> dict[Path, tuple[str, str]]:
    """Each file's name and hash."""
    modules = {module.__file__: module for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    found: dict[Path, tuple[str, str]] = {}
    waiting = list(roots.items())
    while waiting:
        path, name = waiting.pop()
        if path in found:
            continue
        try:
            source = path.read_bytes()
        except OSError as error:
            raise explain_os_error(error, path) from error
        found[path] = name, sha256(source)
        if file is None or path != file.resolve():  # that one is run again whenever it has changed
            _refuse_edited(path, found[path][1], modules.get(str(path)))
        if not path.is_relative_to(_OURS):
            waiting += _imported(path, source)
    return found


def _refuse_edited(path: Path, digest: str, module: ModuleType | None) -> None:
    spec = getattr(module, "__spec__", None)
    if spec is None:
        return
    known, before = _hashed.setdefault(path, (spec, digest))
    if known is spec and before != digest:
        what = "was edited after this process had imported it, so the old code would answer under the new name"
        raise UserError(what, file=path, fix="start the process anew")
    _hashed[path] = spec, digest


def _imported(path: Path, source: bytes) -> Iterator[tuple[Path, str]]:
    """The files of the author's own modules that a file imports, with their names."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [one.name.split(".") for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            wanted = [[*module, one.name] for one in node.names]
            if node.level:
                for parts in wanted:
                    yield from _walk(path.parents[node.level - 1], parts, _home(path))
                continue
        else:
            continue
        for parts in wanted:
            for home in _homes(parts[0], path):
                yield from _walk(home, parts, home)


def _walk(folder: Path, parts: Sequence[str], home: Path) -> Iterator[tuple[Path, str]]:
    """The files that importing `parts` from a folder runs, with their names as seen from `home`."""
    for part in parts:
        package, module = folder / part / "__init__.py", folder / f"{part}.py"
        if package.is_file():
            yield package.resolve(), package.relative_to(home).as_posix()
        elif module.is_file():
            yield module.resolve(), module.relative_to(home).as_posix()
            return
        elif not (folder / part).is_dir():
            return
        folder = folder / part


def _homes(name: str, path: Path) -> list[Path]:
    """Folders in which a module of that name is the author's own: beside the file or its package, or where Python
    finds it, unless that is among the installed libraries."""
    if name == _OURS.name:
        return []
    homes = [path.parent, _home(path)]
    module = sys.modules.get(name)
    try:
        spec = getattr(module, "__spec__", None) or util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    for place in spec.submodule_search_locations or [spec.origin] if spec is not None else []:
        if place is not None and Path(place).exists():
            homes.append(Path(place).resolve().parent)
    own = _home(path) / path.relative_to(_home(path)).parts[0]
    return [
        home
        for home in dict.fromkeys(homes)
        if not _in_libraries(home) or home / name == own or home / f"{name}.py" == own
    ]


def _home(path: Path) -> Path:
    """The folder that a file's outermost package lies in; the file's own where it is in none."""
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
    return folder


@functools.cache
def _libraries() -> frozenset[Path]:
    paths = sysconfig.get_paths()
    return frozenset(Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _in_libraries(path: Path) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts) or any(
        path.is_relative_to(folder) for folder in _libraries()
    )


def _version(path: Path) -> str | None:
    """Name and version of the installed package that a file is of, where that package brings mechanisms."""
    if not _in_libraries(path):
        return None
    return _plugins().get(path.relative_to(_home(path)).parts[0].removesuffix(".py"))


@functools.cache
def _plugins() -> dict[str, str]:
    """By top-level module, of the packages with entry points of grapebench."""
    from importlib.metadata import entry_points

    return {
        point.module.partition(".")[0]: f"{point.dist.name} {point.dist.version}"
        for kind in BUILTIN
        for point in entry_points(group=f"{_OURS.name}.{kind}")
        if point.dist is not None
    }
