"""One registry of mechanisms: built in, from other packages' entry points, or from a file of the user's.

Every entry is a lazy 'module:attribute'; nothing is imported before it is asked for by name.
"""

from __future__ import annotations

import functools
import importlib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_PREFIX = "grapebench_file_"
"""What the names of modules begin with that are read from files of the user's."""
BUILTIN: dict[str, dict[str, str]] = {
    "rewriters": {
        "api": "grapebench.rewriters.prompted:Api",
        "detclip": "grapebench.rewriters.detclip:Glosses",
        "identity": "grapebench.rewriters.identity:Identity",
        "lm": "grapebench.rewriters.prompted:Local",
        "oracle": "grapebench.rewriters.oracle:Oracle",
        "prf": "grapebench.rewriters.feedback:Feedback",
        "raclip": "grapebench.rewriters.raclip:Augmented",
        "truncate": "grapebench.rewriters.truncate:Truncate",
        "vllm": "grapebench.rewriters.prompted:Vllm",
    },
    "retrievers": {
        "open_clip": "grapebench.retrieval.open_clip:OpenClip",
        "precomputed": "grapebench.retrieval.precomputed:Precomputed",
    },
    "datasets": {
        "chinese_clip": "grapebench.datasets.chinese_clip:load",
        "cirr": "grapebench.datasets.cirr:load",
        "cvlue": "grapebench.datasets.cvlue:load",
        "flickr30k_cn": "grapebench.datasets.flickr30k_cn:load",
        "karpathy": "grapebench.datasets.karpathy:load",
        "urban1k": "grapebench.datasets.urban1k:load",
        "wikipedia": "grapebench.datasets.wikipedia:load",
        "wit": "grapebench.datasets.wit:load",
        "xm3600": "grapebench.datasets.xm3600:load",
    },
    "captioners": {
        "api": "grapebench.rewriters.captioners.chat:Api",
        "bank": "grapebench.rewriters.captioners.bank:Bank",
        "pipeline": "grapebench.rewriters.captioners.pipeline:Pipeline",
        "vllm": "grapebench.rewriters.captioners.chat:Vllm",
    },
    "rewards": {
        "contrastive": "grapebench.rewards.contrastive:contrastive",
        "discount": "grapebench.rewards.discount:discount",
        "ndcg": "grapebench.rewards.ndcg:ndcg",
        "piecewise": "grapebench.rewards.piecewise:piecewise",
        "rank-linear": "grapebench.rewards.rank_linear:rank_linear",
        "rank-log": "grapebench.rewards.rank_log:rank_log",
        "reciprocal": "grapebench.rewards.reciprocal:reciprocal",
        "similarity": "grapebench.rewards.similarity:similarity",
        "tiers": "grapebench.rewards.tiers:tiers",
    },
}


def names(kind: str) -> list[str]:
    """Every name of a kind, built in or from an entry point, sorted."""
    return sorted({*BUILTIN[kind], *_plugins(kind)})


def resolve(kind: str, name: str, base: Path | None = None) -> Any:
    """The object a name stands for.

    `kind` is a key of BUILTIN. A name is a built-in one, an entry point of group 'grapebench.<kind>', or
    'path/to/file.py:Attribute' with the path relative to `base` (default: the working directory).
    Raises UserError where there is no such thing or the user's code fails while it is imported.
    """
    if target := BUILTIN[kind].get(name):
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)
    if points := _plugins(kind).get(name):
        return _load_plugin(kind, points)
    if is_file_spec(name):
        return _load_file(name, base or Path())
    raise unknown_name(kind.removesuffix("s"), name, names(kind))


def is_file_spec(name: str) -> bool:
    """Whether a name points into a Python file: 'path/to/file.py:Attribute' (or has forgotten the attribute)."""
    return name.endswith(".py") or ".py:" in name


def source_file(name: str, base: Path | None = None) -> Path | None:
    """The Python file that a name points into, as `resolve` reads it; None for any other name."""
    return _path_of(name, base or Path()) if is_file_spec(name) else None


def unknown_name(noun: str, name: str, known: Iterable[str], file: Path | None = None) -> UserError:
    """The error for a name that nothing bears, with the nearest one that something does."""
    import difflib

    choices = sorted(known)
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    suggestion = f"did you mean {by_lower[near[0]]!r}? " if near else ""
    return UserError(f"unknown {noun} {name!r}", file=file, fix=f"{suggestion}there is: {', '.join(choices) or 'none'}")


@functools.cache
def _plugins(kind: str) -> dict[str, list[EntryPoint]]:
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=f"grapebench.{kind}"):
        # Installed twice on the path (an editable install beside a wheel), the same entry shows twice.
        if all(point.value != other.value for other in found.setdefault(point.name, [])):
            found[point.name].append(point)
    return found


def _load_plugin(kind: str, points: list[EntryPoint]) -> Any:
    packages = [point.dist.name if point.dist else point.value for point in points]
    if len(points) > 1:
        raise UserError(
            f"{kind.removesuffix('s')} {points[0].name!r} is offered by several packages: {', '.join(packages)}",
            fix="uninstall all but one",
        )
    point = points[0]
    try:
        return point.load()
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{kind.removesuffix('s')} {point.name!r} of the package {packages[0]} ({point.value}) cannot be loaded: "
            + _describe(error)
        ) from error


def _path_of(spec: str, base: Path) -> Path:
    return (base / Path(spec.rpartition(":")[0]).expanduser()).resolve()


def _load_file(spec: str, base: Path) -> Any:
    _, colon, attribute = spec.rpartition(":")
    if not colon or not attribute.isidentifier():
        raise UserError(f"{spec!r} does not say what to take from the file", fix="write path/to/file.py:Name")
    path = _path_of(spec, base)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise explain_os_error(error, path) from error
    module = _run(path, source)
    try:
        return getattr(module, attribute)
    except AttributeError:
        defined = [key for key in vars(module) if not key.startswith("_")]
        raise unknown_name("name", attribute, defined, file=path) from None


def _run(path: Path, source: bytes) -> ModuleType:
    """The file as a module, under a name of its own; the same content is run once."""
    name = f"{_PREFIX}{sha256(str(path).encode() + source)[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    # Registered before it runs, as an import does: dataclasses look their own module up.
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, UserError) or not isinstance(error, Exception | SystemExit):
            raise
        raise UserError(
            f"cannot be imported: {_describe(error)}", file=path, line=_line(error, path), fix=advice(error, path)
        ) from error
    return module


def users_error(error: BaseException) -> UserError | None:
    """An error that a file of the user's raised while it was at work, as one sentence with its place there.

    None for an error that passed through no such file: that is a bug of this package or of another one.
    """
    for frame in reversed(list(traceback.walk_tb(error.__traceback__))):
        name = frame[0].f_globals.get("__name__", "")
        if isinstance(name, str) and name.startswith(_PREFIX):
            path = Path(frame[0].f_code.co_filename)
            return UserError(_describe(error), file=path, line=frame[1], fix=advice(error, path))
    return None


def advice(error: BaseException, path: Path) -> str | None:
    """What helps where a module is missing that the user's file at `path` imports; None for any other error."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    name = error.name.partition(".")[0]
    if any((path.parent / beside).exists() for beside in (name, f"{name}.py")):
        return f"{name} lies beside the file, which is read alone: put all into one file, or make a package of both"
    return f"install what holds {name} beside grapebench"


def _describe(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}" if text else type(error).__name__


def _line(error: BaseException, path: Path) -> int | None:
    """The last line of the user's own file that the error passed through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
