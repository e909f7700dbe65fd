"""How a retriever's vectors lie: cone, gap, and how much of a text's similarity belongs to no image in particular.

    python benchmarks/study/geometry.py --retriever mini-clip --task flickr30k-cn

CLIP's images lie in one narrow cone and its texts in another, so that even unrelated pairs have a cosine well above 0
(Liang et al., Mind the Gap, NeurIPS 2022). A cone alone inflates no score: an offset that is the same for all texts
drops out of every comparison. What lets a text gain similarity without finding its image is similarity to all images
at once, and how much texts differ in that: `common`, beside `own`, which is what tells images apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grapebench.files import write_text

if TYPE_CHECKING:
    from grapebench.records import Retriever, Task

KEPT = "geometry.json"
TASK = "flickr30k-cn"


@dataclass(frozen=True)
class Geometry:
    """Of n images and one caption for each; all but the dimensions, recalls and `risk` are cosines or their spread."""

    matched: float
    """Mean cosine of a caption and its image."""
    unrelated: float
    """Mean cosine of a caption and another image."""
    images: float
    """Mean cosine of two images."""
    texts: float
    """Mean cosine of two captions."""
    gap: float
    """Length of the difference of the two means (Liang et al.'s modality gap)."""
    image_dimension: float
    """Participation ratio of the images' covariance, (sum w)^2 / sum w^2 of its eigenvalues: how many directions
    share the variance."""
    text_dimension: float
    common: float
    """Standard deviation over captions of the mean cosine to all images: what a text may have more of than another
    without telling images apart."""
    own: float
    """Mean over captions of the standard deviation of the cosine over the images: what tells them apart."""
    recall_1: float
    recall_10: float

    @property
    def risk(self) -> float:
        """Share of the variance of similarities that lies between captions and not between images."""
        return self.common**2 / (self.common**2 + self.own**2)


def measure(images: np.ndarray, texts: np.ndarray) -> Geometry:
    """Of unit rows `(n, dimension)`, row i of the texts being a caption of image i; n at least 2."""
    from grapebench.evaluation.metrics import mean, success_at
    from grapebench.retrieval.ranking import count_ranks

    images, texts = (np.asarray(rows, np.float64) for rows in (images, texts))
    similarity = texts @ images.T
    rank = count_ranks(
        texts.astype(np.float32), images.astype(np.float32), [np.array([row]) for row in range(len(texts))]
    ).rank
    return Geometry(
        matched=float(np.trace(similarity)) / len(texts),
        unrelated=_off_diagonal(similarity),
        images=_off_diagonal(images @ images.T),
        texts=_off_diagonal(texts @ texts.T),
        gap=float(np.linalg.norm(images.mean(axis=0) - texts.mean(axis=0))),
        image_dimension=_dimension(images),
        text_dimension=_dimension(texts),
        common=float(similarity.mean(axis=1).std()),
        own=float(similarity.std(axis=1).mean()),
        recall_1=mean(success_at(rank, 1)),
        recall_10=mean(success_at(rank, 10)),
    )


def _off_diagonal(square: np.ndarray) -> float:
    count = len(square)
    return float(square.sum() - np.trace(square)) / (count * (count - 1))


def _dimension(rows: np.ndarray) -> float:
    centred = rows - rows.mean(axis=0)
    # The sum of squared eigenvalues is the squared norm of the covariance: no eigenvalue has to be found.
    covariance = centred.T @ centred
    return float(np.trace(covariance) ** 2 / max((covariance**2).sum(), np.finfo(float).tiny))


def of_retriever(retriever: Retriever, task: Task, limit: int = 1000) -> Geometry:
    """On the first images of a task, with the captions of its `oracle.jsonl`, or its first English query of each.

    Raises UserError where fewer than two images have an English caption.
    """
    from grapebench.errors import UserError
    from grapebench.retrieval.encode import image_vectors, text_vectors
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.rewriters.oracle import FILE, read_captions

    path = task.root / FILE
    if path.is_file():
        captions = read_captions(path)
    else:
        english = [query for query in task.queries if query.language == "en" and query.positives]
        captions = {query.positives[0]: query.text for query in reversed(english)}
    ids = [image for image in task.gallery.ids if image in captions][:limit]
    if len(ids) < 2:
        raise UserError(f"{task.name} {task.split} has no English captions", file=path, fix="choose another task")
    store = EmbeddingStore()
    images = image_vectors(ids, task.gallery, retriever, store)
    return measure(images, text_vectors([captions[image] for image in ids], retriever, store))


def of_name(retriever: str | None, task: str, suite: str, data: Path | None = None) -> Geometry:
    """Of a retriever, as `grapebench run` takes it, on the default split of a task."""
    from grapebench import catalog
    from grapebench.datasets import Place, load_task
    from grapebench.retrieval import open_retriever

    card = catalog.task_card(task).card
    split = (card.mini if suite == "mini" else card.full).default_split
    place = None if data is None else Place.of(data)
    return of_retriever(open_retriever(retriever, suite), load_task(card, suite, split, place))


def kept(out: Path) -> dict[str, Geometry]:
    """By the retriever's name, what `keep` wrote; empty where it has not."""
    path = out / KEPT
    return {name: Geometry(**one) for name, one in json.loads(path.read_text()).items()} if path.is_file() else {}


def keep(out: Path, retrievers: Mapping[str, str | None]) -> None:
    """Measure those retrievers, by name, that are not kept yet."""
    found = kept(out)
    for name, retriever in retrievers.items():
        if name not in found:
            found[name] = of_name(retriever, TASK, "mini")
            rounded = {one: {key: round(v, 4) for key, v in asdict(found[one]).items()} for one in found}
            write_text(out / KEPT, json.dumps(rounded, indent=1) + "\n")


def table(found: Mapping[str, Geometry]) -> str:
    """A retriever a line."""
    columns = [field.name for field in fields(Geometry)]
    text = f"| retriever | {' | '.join(name.replace('_', ' ') for name in columns)} | risk |\n"
    text += f"|---|{'---:|' * (len(columns) + 1)}\n"
    for name, one in found.items():
        text += f"| {name} | {' | '.join(f'{value:.3f}' for value in [*asdict(one).values(), one.risk])} |\n"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default=TASK)
    parser.add_argument("--suite", default="mini", choices=("mini", "full"))
    parser.add_argument("--data", type=Path, help="where the official files are")
    parser.add_argument("--retriever", action="append", help="as in `grapebench run`; may be repeated")
    arguments = parser.parse_args()
    asked = {name or "the default": name for name in arguments.retriever or [None]}
    place = (arguments.task, arguments.suite, arguments.data)
    print(table({name: of_name(retriever, *place) for name, retriever in asked.items()}), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
