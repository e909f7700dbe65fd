"""Retrieval: encoders, the embedding store, exact ranking, top-k search."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from grapebench.errors import UserError
from grapebench.retrieval.described import described
from grapebench.settings import fill_settings

if TYPE_CHECKING:
    from grapebench.cards import RetrieverCard
    from grapebench.catalog import Loaded
    from grapebench.records import Retriever


_PARTS = ("encode_images", "encode_texts")


def open_retriever(spec: str | None = None, suite: str = "full") -> Retriever:
    """The retriever that `spec` names; None is the suite's default card.

    `spec` is a card's name or the path of a .toml card, MODEL@PRETRAINED as open_clip calls them, 'hf-hub:owner/name',
    a directory with an open_clip model, 'path/to/file.py:Class', or an installed plugin's name. Nothing heavy is
    loaded. Raises UserError where there is no such retriever or its settings are wrong.
    """
    from grapebench import catalog, registry
    from grapebench.retrieval.checkpoint import HUB, LOCAL

    if spec is None:
        return _from_card(_default(suite))
    if registry.is_file_spec(spec):
        mechanism, source = registry.resolve("retrievers", spec), registry.source_file(spec)
        return _construct(mechanism, {}, Path(spec.rpartition(":")[0]), Path(), source)
    if spec.endswith(".toml") or spec in catalog.retriever_names():
        return _from_card(catalog.retriever_card(spec))
    if spec.startswith(HUB):
        return _open_clip({"model": spec})
    if "@" in spec:
        model, _, pretrained = spec.partition("@")
        return _open_clip({"model": model, "pretrained": pretrained})
    if Path(spec).is_dir() or spec.startswith(LOCAL):
        return _open_clip({"model": f"{LOCAL}{Path(spec.removeprefix(LOCAL)).resolve()}"})
    plugins = set(registry.names("retrievers")) - set(registry.BUILTIN["retrievers"])
    if spec in plugins:
        return _construct(registry.resolve("retrievers", spec), {}, None, Path())
    raise registry.unknown_name("retriever", spec, [*catalog.retriever_names(), *plugins])


def _default(suite: str) -> Loaded[RetrieverCard]:
    from grapebench import catalog

    cards = [catalog.retriever_card(name) for name in catalog.retriever_names()]
    found = [loaded for loaded in cards if suite in loaded.card.default_for]
    if len(found) != 1:
        names = ", ".join(loaded.card.name for loaded in found) or "none"
        raise UserError(f"one retriever card must be the default of suite {suite!r} and there is: {names}")
    return found[0]


def _from_card(loaded: Loaded[RetrieverCard]) -> Retriever:
    from grapebench import registry

    base = loaded.path.resolve().parent
    mechanism = registry.resolve("retrievers", loaded.card.mechanism, base)
    source = registry.source_file(loaded.card.mechanism, base)
    return _construct(mechanism, loaded.card.settings, loaded.path, base, source)


def _open_clip(values: dict[str, Any]) -> Retriever:
    from grapebench.retrieval.open_clip import OpenClip

    return _construct(OpenClip, values, None, Path())


def _construct(
    mechanism: Any, values: dict[str, Any], file: Path | None, base: Path, source: Path | None = None
) -> Retriever:
    """An instance of a mechanism, given those of `settings` and `base` that its constructor takes.

    `file` is the one to blame, `source` the Python file that the mechanism was taken from.
    """
    name = getattr(mechanism, "__name__", repr(mechanism))
    if not inspect.isclass(mechanism):
        raise UserError(f"{name} is no class", file=file, fix="a retriever is a class")
    offered = {"settings": fill_settings(mechanism, values, file), "base": base}
    wanted = inspect.signature(mechanism).parameters
    try:
        made = mechanism(**{key: value for key, value in offered.items() if key in wanted})
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{name} cannot be made: {type(error).__name__}: {error}", file=file) from error
    # asked of the class first: a property may have to read gigabytes
    lacking = [part for part in _PARTS if not hasattr(mechanism, part) and not hasattr(made, part)]
    if lacking:
        raise UserError(f"{name} is no retriever: it has no {', '.join(lacking)}", file=file)
    return cast("Retriever", described(made, [values], source))
