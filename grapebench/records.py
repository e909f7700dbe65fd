"""The nouns that flow through the pipeline: small, frozen, typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from grapebench.files import sha256_json


@dataclass(frozen=True, slots=True)
class Query:
    """What a user asks, and what would be the right answer."""

    id: str
    text: str
    positives: tuple[str, ...] = ()
    """Ids of the gallery images that answer it; empty where the labels are not public."""
    language: str = "en"
    reference: str | None = None
    """Composed retrieval: the id of the image that the text wants changed."""
    reference_caption: str | None = None
    """The reference image in words; filled in by a captioner before rewriting."""
    excluded: tuple[str, ...] = ()
    """Gallery images that leave the ranking before anything is counted (CIRR: the reference)."""
    subset: tuple[str, ...] = ()
    """Gallery images that are ranked among themselves as well (CIRR: the look-alikes without the reference)."""
    grades: tuple[tuple[str, float], ...] = ()
    """Image ids and how right each is, where the files grade their answers (CIRR: `target_soft`)."""
    category: str = ""
    """The part of the data that the query belongs to, where there are such parts (CVLUE: 'panda')."""
    source: str = ""
    """What the text was taken from, where several texts are from one (Wikipedia: the article of a section): queries of
    one source are not independent. Rewriters are asked without it."""


class ImageSource(Protocol):
    """Where encoded images (PNG, JPEG, …) are read from: a folder, an archive."""

    def read(self, image_id: str) -> bytes:
        """One encoded file; called from several threads. Raises UserError, naming it, where it is missing."""

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        """Those of the ids that have no image, in the order given."""

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        """Hex SHA-256 of each image's encoded bytes; remembered between calls where that is safe."""


@dataclass(frozen=True)
class Gallery:
    """The images that are searched, in a fixed order."""

    ids: tuple[str, ...]
    images: ImageSource
    categories: tuple[str, ...] = ()
    """The category of each image, in the order of `ids`; empty where the data have none."""

    @cached_property
    def index(self) -> dict[str, int]:
        """Column of each image id."""
        return {image: column for column, image in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Dataset:
    """What a loader returns: queries in file order and the gallery from the split file."""

    queries: tuple[Query, ...]
    gallery: Gallery
    files: tuple[Path, ...] = ()
    """The annotation files that were read."""
    notes: tuple[str, ...] = ()
    """Quirks of the files a reader of the numbers should know of (repeated captions, recovered files)."""
    captions: int | None = None
    """How many captions the files hold, where that is not the number of queries (CVLUE: equal ones are one query)."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """The group of each of the queries' categories, where categories have groups (CVLUE: 'panda' is an 'animal')."""
    unasked: frozenset[str] = frozenset()
    """Ids of queries that the files hold and that are not asked, by the protocol or for their language."""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that a rank depends on, except the pixels."""
        rows = [
            (q.id, q.text, q.positives, q.language, q.reference, q.excluded, q.subset, q.grades, q.category)
            for q in self.queries
        ]
        told = [rows, self.gallery.ids, self.gallery.categories, dict(self.groups)]
        captions = {q.id: q.reference_caption for q in self.queries if q.reference_caption is not None}
        return sha256_json([*told, captions] if captions else told)

    @cached_property
    def sources_fingerprint(self) -> str | None:
        """Hash of the queries' sources, on which intervals and tests depend and no rank; None where there are none."""
        sources = [query.source for query in self.queries]
        return sha256_json(sources) if any(sources) else None


Fusion = Literal["mean", "max", "rrf", "turns", "best"]
"""How the parts of a rewrite come to one ranking.

'mean': one query vector, the normalised weighted sum of the parts' unit vectors. 'max': an image's score is that of the
part nearest to it. 'rrf': reciprocal rank fusion, the weighted sum of 1 / (60 + rank) over the parts (Cormack, Clarke
and Buettcher, SIGIR 2009). 'turns': the parts take turns to vote for the images that they found, in each turn for their
next one; what was listed in an earlier turn is skipped, the new ones follow by their votes in this turn, then in the
order of the parts. 'best': the part that ranks the right image highest; an oracle, it looks at the answer.
"""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What is searched instead of the query: one text, several parts with weights, or vectors.

    Most rewriters give one text; the raw baselines of composed retrieval give an image, or a text and an image.
    """

    query_id: str
    texts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    """Ids of gallery images."""
    vectors: tuple[tuple[float, ...], ...] = ()
    """Unit vectors in the retriever's space, for what is neither a text nor in the gallery."""
    weights: tuple[float, ...] = ()
    """One for each of `texts`, then `images`, then `vectors`; empty means all 1."""
    fusion: Fusion = "mean"
    raw: str | None = None
    """The model's output before it was parsed; None where no model was asked."""
    fallback: str | None = None
    """Why the original query was searched instead ('empty', 'too long', …); None where the rewrite is used."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0
    """What the answer cost, in the currency of the card's prices; 0 where no price is known."""
    seconds: float = field(default=0.0, compare=False)
    """Wall time that was spent on it when it was asked for. Of answers that come together one bears the whole time."""
    trace: dict[str, str] = field(default_factory=dict)
    """Earlier forms and findings that a reader may inspect (the reference caption, detected concepts)."""

    @property
    def text(self) -> str:
        """The rewrite for people to read."""
        parts = [*self.texts, *(f"<image {image}>" for image in self.images), *("<vector>" for _ in self.vectors)]
        return " + ".join(parts)


class Rewriter(Protocol):
    """Anything with this one method; `fingerprint` is optional for a rewriter from a file."""

    def rewrite(self, queries: Sequence[Query]) -> Iterable[Rewrite]:
        """One rewrite for each query, in any order; what is yielded early is stored early."""


class Retriever(Protocol):
    """A frozen dual encoder. Nothing heavy is loaded before the first encode.

    A class from a file or a package may leave out `fingerprint` and `description`: then they are its source's.
    """

    @property
    def fingerprint(self) -> str:
        """Hash of all that changes a vector: weights, preprocessing, tokeniser, precision, device kind."""

    @property
    def description(self) -> dict[str, Any]:
        """What is recorded in a result: model, weights' hash, precision, device, dimension, ..."""

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        """Encoded image files to unit vectors `(images, dimension)`, float32. `names` are for error messages."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts to unit vectors `(texts, dimension)`, float32."""


@dataclass(frozen=True)
class Task:
    """A benchmark made concrete: one suite, one split, loaded."""

    name: str
    suite: str
    split: str
    family: str
    """What rewriting has to do: 'translate', 'condense' or 'compose'."""
    protocol: str
    revision: int
    dataset: Dataset
    root: Path
    """The folder the dataset was read from."""
    collection: str = ""
    """Whose images these are: equal ids in one collection are the same image."""

    @property
    def queries(self) -> tuple[Query, ...]:
        return self.dataset.queries

    @property
    def gallery(self) -> Gallery:
        return self.dataset.gallery


@dataclass(frozen=True, slots=True)
class Ranking:
    """Where each query's best positive came, by counting; arrays of shape `(queries,)`.

    `rank` is pessimistic about ties: 1 + above + equal, counted over candidates that are neither excluded nor positive.
    """

    rank: np.ndarray
    above: np.ndarray
    equal: np.ndarray
    score: np.ndarray
    """float32 similarity of the best positive."""
    candidates: np.ndarray
    """How many gallery images stood in the ranking (gallery minus excluded)."""

    @property
    def middle(self) -> np.ndarray:
        """Rank with ties counted half: what a reward uses."""
        return 1 + self.above + self.equal / 2
