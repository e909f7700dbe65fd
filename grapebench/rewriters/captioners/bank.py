"""A caption bank: the line of a text file that the retriever holds nearest to the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256_json
from grapebench.records import Gallery, Retriever
from grapebench.rewriters.setup import Setup
from grapebench.text import decoded, lines_of

if TYPE_CHECKING:
    from grapebench.retrieval.store import EmbeddingStore


class Bank:
    """Captions an image with the line of a caption bank that the retriever itself holds nearest to it."""

    language_model = False

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        bank: str = "caption_bank.txt"
        """A UTF-8 file, one caption a line, in the dataset's folder."""
        prefix: str = ""
        """Goes before each caption."""

    def __init__(self, settings: Settings, setup: Setup) -> None:
        self.path, self.prefix = setup.root / settings.bank, settings.prefix

    @property
    def captions(self) -> tuple[str, ...]:
        """The bank in file order, without blank and repeated lines. Raises UserError where there is none."""
        try:
            lines = lines_of(decoded(self.path.read_bytes(), self.path))
        except FileNotFoundError as error:
            raise UserError(
                "no caption bank, and this rewriter needs reference images in words",
                file=self.path,
                fix="write one caption a line into it, for instance those of a training set, or choose another "
                "--captioner",
            ) from error
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        captions = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if not captions:
            raise UserError("the caption bank is empty", file=self.path)
        return captions

    @property
    def description(self) -> dict[str, Any]:
        captions = self.captions
        return {"captions": len(captions), "sha256": sha256_json(captions), "prefix": self.prefix}

    @property
    def identity(self) -> dict[str, Any]:
        """What a result's id says of it."""
        return {"name": "bank", **self.description}

    @property
    def fingerprint(self) -> str:
        """Of the lines, their order (it decides ties) and the prefix; the retriever is told apart elsewhere."""
        return sha256_json(["bank", self.captions, self.prefix])

    def caption(
        self, image_ids: Sequence[str], gallery: Gallery, retriever: Retriever, store: EmbeddingStore
    ) -> dict[str, str]:
        """The nearest line of the bank for each image, the first of the file where several are equally near."""
        from grapebench.retrieval.encode import image_vectors, text_vectors
        from grapebench.retrieval.topk import top_k

        captions = self.captions
        images = image_vectors(image_ids, gallery, retriever, store)
        texts = text_vectors(captions, retriever, store)
        nearest, _ = top_k(images, texts, 1)
        return {image: self.prefix + captions[int(row[0])] for image, row in zip(image_ids, nearest, strict=True)}
