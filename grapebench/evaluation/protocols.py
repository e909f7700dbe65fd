"""The protocols: what counts as right, which queries are asked, which figures are reported. A task card names one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from grapebench.errors import UserError
from grapebench.records import Query, Task

I2T = "i2t_"
"""What the names of image-to-text figures begin with."""


@dataclass(frozen=True)
class Protocol:
    """Which figures a task reports."""

    name: str
    ks: tuple[int, ...] = ()
    """R@k over the whole gallery."""
    subset_ks: tuple[int, ...] = ()
    """R_subset@k among each query's look-alikes."""
    relevance: Literal["own", "graded", "category"] = "own"
    """What is right: the query's own images; these as much as the files grade them; every image of its category, with
    the mean average precision over the whole ranking as the figure."""
    image_to_text: bool = False
    """The way back too: each image asks for its texts, among all texts or among those of one language. Images that are
    no text's answer are left out of the average."""
    by: Literal["language", "category"] | None = None
    """Figures of every language (`R@1/de`), the headline being their mean; or of every category and group of
    categories, the headline being over all queries."""
    first_caption: bool = False
    """Only the first caption of each image and language is a query."""

    @property
    def query_keys(self) -> tuple[str, ...]:
        """Names of the figures that are means over queries."""
        recalls = (*(f"R@{k}" for k in self.ks), *(f"R_subset@{k}" for k in self.subset_ks))
        return recalls + {"own": ("MRR",), "graded": (), "category": ("mAP",)}[self.relevance]

    @property
    def image_keys(self) -> tuple[str, ...]:
        """Names of the figures that are means over images."""
        if not self.image_to_text:
            return ()
        return (I2T + "mAP",) if self.relevance == "category" else tuple(f"{I2T}R@{k}" for k in self.ks)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of all headline figures, but for `median_rank`, in the order in which they are shown."""
        return self.query_keys + self.image_keys

    @property
    def miss(self) -> int:
        """A rank beyond every cut-off."""
        return max((*self.ks, *self.subset_ks), default=0) + 1


_ALL = (
    Protocol("retrieval", (1, 5, 10), image_to_text=True),
    Protocol("categories", (1, 5, 10), image_to_text=True, by="category"),
    Protocol("composed", (1, 5, 10, 50), subset_ks=(1, 2, 3)),
    # The evaluation in the repository of CIRR's authors (CIRPLANT): the highest grade among the first k, at least 0.
    Protocol("graded", (1, 5, 10, 50), subset_ks=(1, 2, 3), relevance="graded"),
    Protocol("multilingual", (1, 5, 10), image_to_text=True, by="language"),
    Protocol("first-caption", (1, 5, 10), image_to_text=True, by="language", first_caption=True),
    Protocol("category-map", relevance="category", image_to_text=True),
)
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name; UserError where there is none."""
    if name not in PROTOCOLS:
        raise UserError(f"unknown protocol {name!r}", fix=f"known are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def select_queries(protocol: Protocol, queries: Iterable[Query]) -> tuple[Query, ...]:
    """Those of a dataset's queries that the protocol asks, in their order."""
    if not protocol.first_caption:
        return tuple(queries)
    firsts: dict[tuple[str, ...], Query] = {}
    for query in queries:
        # Without labels nothing says which captions are of one image.
        image = query.positives[:1] or (query.id,)
        firsts.setdefault((query.language, *image), query)
    return tuple(firsts.values())


def graded_images(query: Query) -> dict[str, float]:
    """How right each image is that is right at all (above 0); where the files grade nothing, its own images are by 1.

    Excluded images are left out, whatever their grade: some of CIRR's references have one.
    """
    grades = query.grades or tuple((image, 1.0) for image in query.positives)
    return {image: grade for image, grade in grades if grade > 0 and image not in query.excluded}


def require_categories(protocol: Protocol, task: Task) -> None:
    """UserError where the protocol goes by categories of queries and images that the data do not have."""
    dataset = task.dataset
    if protocol.relevance == "category" and not (
        dataset.gallery.categories and all(query.category for query in dataset.queries)
    ):
        raise UserError(
            f"the protocol {protocol.name} needs the category of every query and image, and {task.name} {task.split} "
            "does not have them",
            file=task.root,
        )
