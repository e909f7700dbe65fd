"""Captioners: the reference image of a composed query in words, for rewriters that read only text."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256_json
from grapebench.records import Gallery, Query, Retriever
from grapebench.rewriters.setup import Setup

if TYPE_CHECKING:
    from grapebench.retrieval.store import EmbeddingStore


class Captioner(Protocol):
    """Anything with this one method."""

    def caption(
        self, image_ids: Sequence[str], gallery: Gallery, retriever: Retriever, store: EmbeddingStore
    ) -> dict[str, str]:
        """A caption for each of the gallery images."""


class Bank:
    """Captions an image with the line of a caption bank that the retriever itself holds nearest to it."""

    def __init__(self, setup: Setup, bank: str = "caption_bank.txt", prefix: str = "") -> None:
        """`bank` is a UTF-8 file, one caption a line, beside the dataset; `prefix` goes before each caption."""
        self.path, self.prefix = setup.root / bank, prefix

    @property
    def captions(self) -> tuple[str, ...]:
        """The bank in file order, without blank and repeated lines. Raises UserError where there is none."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError as error:
            raise UserError(
                "no caption bank, and this rewriter needs reference images in words",
                file=self.path,
                fix="write one caption a line into it, for instance those of a training set",
            ) from error
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        except UnicodeDecodeError as error:
            raise UserError("not UTF-8", file=self.path) from error
        captions = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if not captions:
            raise UserError("the caption bank is empty", file=self.path)
        return captions

    @property
    def description(self) -> dict[str, Any]:
        captions = self.captions
        return {"name": "bank", "captions": len(captions), "sha256": sha256_json(captions), "prefix": self.prefix}

    def caption(
        self, image_ids: Sequence[str], gallery: Gallery, retriever: Retriever, store: EmbeddingStore
    ) -> dict[str, str]:
        """The nearest line of the bank for each image, the first of the file where several are equally near.

        Raises UserError for an image that is not in the gallery.
        """
        from grapebench.retrieval.encode import image_vectors, text_vectors
        from grapebench.retrieval.topk import top_k

        wanted = list(dict.fromkeys(image_ids))
        for image in wanted:
            if image not in gallery.index:
                raise UserError(f"reference image {image!r} is not in the gallery")
        if not wanted:
            return {}
        captions = self.captions
        images = image_vectors(wanted, gallery, retriever, store)
        texts = text_vectors(captions, retriever, store)
        nearest, _ = top_k(images, texts, 1)
        return {image: self.prefix + captions[int(row[0])] for image, row in zip(wanted, nearest, strict=True)}


def open_captioner(spec: str, setup: Setup) -> Captioner:
    """The captioner of a registered name or 'path/to/file.py:Class'; it is given `setup` if it takes it."""
    from grapebench import registry

    made: Captioner
    mechanism = registry.resolve("captioners", spec, setup.base)
    made = mechanism(setup) if "setup" in inspect.signature(mechanism).parameters else mechanism()
    return made


def fill_captions(queries: Sequence[Query], captions: Mapping[str, str]) -> tuple[Query, ...]:
    """The queries with the caption of their reference image; one without a reference stays as it is."""
    return tuple(
        query if query.reference is None else dataclasses.replace(query, reference_caption=captions[query.reference])
        for query in queries
    )
