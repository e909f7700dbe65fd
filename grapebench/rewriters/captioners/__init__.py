"""Captioners: the reference image of a composed query in words, for rewriters that read only text.

There are two kinds. One that needs the retriever has a method `caption` and is asked anew in every run; one that looks
at the image alone has a method `describe`, and what it says is stored.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from grapebench import source_code
from grapebench.errors import UserError
from grapebench.records import Gallery, Query, Retriever, Rewrite
from grapebench.rewriters.captioners.asking import LoadedCaptioner, Picture
from grapebench.rewriters.captioners.bank import Bank
from grapebench.rewriters.setup import Setup

if TYPE_CHECKING:
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.rewriters.captioners.prompt import CaptionPrompt

__all__ = ["Bank", "Captioner", "Describer", "LoadedCaptioner", "Picture", "fill_captions", "open_captioner"]


class Captioner(Protocol):
    """A captioner that needs the retriever: anything with this one method."""

    def caption(
        self, image_ids: Sequence[str], gallery: Gallery, retriever: Retriever, store: EmbeddingStore
    ) -> Mapping[str, str]:
        """A caption for each of the gallery images; each is asked for once."""


class Describer(Protocol):
    """A captioner that looks at the image alone: anything with this one method."""

    def describe(self, pictures: Sequence[Picture]) -> Iterable[Rewrite]:
        """`Rewrite(picture.id, texts=(caption,))` for each picture, in any order; what is yielded early is stored
        early. One with `fallback` and without `raw` is a failure: it is not stored, and asked again by the next run."""


def open_captioner(spec: str, setup: Setup) -> LoadedCaptioner:
    """The captioner that `spec` names: a card's name or path, a registered mechanism, or 'path/to/file.py:Class'.

    Relative paths start at `setup.base`. A mechanism's constructor is given those of `settings` (an instance of its
    `Settings`), `setup` and `prompt` that it has parameters for. Raises UserError where there is no such captioner, a
    setting or prompt is wrong, or it cannot be made.
    """
    from grapebench import catalog, registry

    base = setup.base or Path()
    if registry.is_file_spec(spec):
        mechanism = registry.resolve("captioners", spec, base)
        source = registry.source_file(spec, base)
        return _open(mechanism.__name__, mechanism, {}, None, setup, base / spec.rpartition(":")[0], source)
    known = catalog.captioner_names()
    if spec.endswith(".toml") or spec in known:
        return _open_card(str(base / Path(spec).expanduser()) if spec.endswith(".toml") else spec, setup)
    mechanisms = registry.names("captioners")
    if spec not in mechanisms:
        raise registry.unknown_name("captioner", spec, {*known, *mechanisms})
    return _open(spec, registry.resolve("captioners", spec), {}, None, setup, None)


def _open_card(spec: str, setup: Setup) -> LoadedCaptioner:
    from grapebench import catalog, registry
    from grapebench.rewriters.captioners import prompt

    found = catalog.captioner_card(spec)
    card, path = found.card, found.path
    if setup.suite not in card.suites:
        raise UserError(
            f"captioner {card.name!r} is for the suite {' or '.join(card.suites)}, not {setup.suite}", file=path
        )
    mechanism = registry.resolve("captioners", card.mechanism, path.parent)
    values = {**card.settings, **getattr(card, setup.suite)}
    loaded = _open(
        card.name,
        mechanism,
        values,
        prompt.load(card.prompts, path.parent, path),
        dataclasses.replace(setup, base=path.parent),
        path,
        registry.source_file(card.mechanism, path.parent),
    )
    told = {"mechanism": card.mechanism, "card_sha256": found.sha256, "settings": values}
    return dataclasses.replace(loaded, description=loaded.description | told)


def _open(
    name: str,
    mechanism: Any,
    values: dict[str, Any],
    prompt: CaptionPrompt | None,
    setup: Setup,
    file: Path | None,
    source: Path | None = None,
) -> LoadedCaptioner:
    """`file` is the one to blame, `source` the Python file that the mechanism was taken from."""
    from grapebench.settings import fill_settings

    if not (inspect.isclass(mechanism) and any(callable(getattr(mechanism, way, None)) for way in _WAYS)):
        raise UserError(
            f"{getattr(mechanism, '__name__', repr(mechanism))} is no captioner",
            file=file,
            fix="give a class with a method caption(self, image_ids, gallery, retriever, store) or "
            "describe(self, pictures)",
        )
    offered = {"settings": fill_settings(mechanism, values, file), "setup": setup, "prompt": prompt}
    wanted = inspect.signature(mechanism).parameters
    if prompt is not None and "prompt" not in wanted:
        raise UserError(f"the mechanism of captioner {name!r} takes no prompt", file=file, fix="remove [prompts]")
    try:
        made = mechanism(**{key: value for key, value in offered.items() if key in wanted})
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{mechanism.__name__} cannot be made: {type(error).__name__}: {error}", file=file) from error
    given = [values, prompt.sha256 if prompt else None, setup.suite]
    fingerprint = source_code.fingerprint(made, name, given, source)
    description = {"name": name, **getattr(made, "description", {}), "fingerprint": fingerprint}
    return LoadedCaptioner(
        name,
        made,
        fingerprint,
        description,
        language_model=getattr(made, "language_model", None),
        seed=setup.seed if getattr(made, "sampled", False) else None,
    )


_WAYS = ("describe", "caption")


def fill_captions(queries: Sequence[Query], captions: Mapping[str, str]) -> tuple[Query, ...]:
    """The queries with the caption of their reference image; one without a reference stays as it is."""
    return tuple(
        query if query.reference is None else dataclasses.replace(query, reference_caption=captions[query.reference])
        for query in queries
    )
