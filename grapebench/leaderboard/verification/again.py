"""A result searched again from its stored rewrites, and every number of it compared."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from grapebench import files
from grapebench.evaluation.again import Again, search_again
from grapebench.evaluation.measure import Report
from grapebench.evaluation.protocols import I2T, graded_images, protocol_named
from grapebench.evaluation.search import categories
from grapebench.leaderboard import artifacts, results
from grapebench.leaderboard.bench import NotAtHand
from grapebench.leaderboard.results import Result
from grapebench.leaderboard.verification import recount, slack
from grapebench.leaderboard.verification.findings import Findings, compare, plain, some
from grapebench.leaderboard.verification.tables import BEFORE, STEP, Table, Tables
from grapebench.records import Query, Retriever, Task
from grapebench.retrieval.fused import BY_RANK, Fused
from grapebench.retrieval.store import EmbeddingStore

_FIELDS = ("metrics", "metrics_before", "intervals", "deltas", "inflation")
FIGURE = 0.005
"""Half a point: how far a figure of the way back may differ where its ranks cannot be bounded one by one."""


def check(
    found: Findings,
    result: Result,
    task: Task,
    queries: Sequence[Query],
    read: Tables | None,
    retriever: Retriever,
    embeddings: EmbeddingStore,
    report: Report,
) -> None:
    """Search with the stored rewrites and compare. Raises NotAtHand where they were not published."""
    path = found.folder / results.REWRITES_FILE
    if not path.is_file():
        raise NotAtHand(
            f"searching again: {results.REWRITES_FILE} was not published (--rerun asks for the rewrites anew)"
        )
    rewrites = artifacts.read_rewrites(path, queries)
    with tempfile.TemporaryDirectory(prefix="grapebench-") as temporary:
        folder = Path(temporary)
        again = search_again(folder, result, task, queries, rewrites, retriever, embeddings, report)
        made = {path.name: files.sha256_file(path) for path in folder.iterdir() if path.name != results.REWRITES_FILE}
        same = {name for name, digest in made.items() if result.files.get(name) == digest}
        ranks = {results.PER_QUERY_FILE, results.SIMILARITIES_FILE, results.PER_IMAGE_FILE} & set(made)
        if same == set(made):
            found.checked.append("searched again: bit for bit")
        elif ranks and ranks <= same:
            found.checked.append("searched again: ranks and similarities bit for bit, scores but for last bits")
        elif read is None:
            unlike = ", ".join(sorted(set(made) - same))
            found.unchecked.append(f"searching again: {unlike} came out otherwise, and there are no ranks to compare")
        else:
            wrongs = len(found.problems)
            _Comparison(found, result, task, queries, again, slack.of(retriever.description)).check(folder, read)
            if len(found.problems) > wrongs:
                return
        if ranks <= same:
            # The tables are those that the result was made with, also where they were not published.
            for name in _FIELDS:
                said, due = plain(getattr(result, name)), plain(again.fields[name])
                compare(found, name, said or {}, due or {}, "its rewrites")
            recount.check(found, result, task, queries, read, folder)


def _unequal(one: Sequence[object], other: Sequence[object]) -> list[int]:
    return [row for row, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]


def _distance(one: Any, other: Any) -> float:
    """The largest difference of two figures, or of the parts of two."""
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    if isinstance(one, BaseModel):
        return max(_distance(getattr(one, name), getattr(other, name)) for name in type(one).model_fields)
    return abs(float(one) - float(other))


@dataclass(frozen=True)
class _Comparison:
    """Stored numbers against those that came out of another search; a difference is excused by near-ties alone."""

    found: Findings
    result: Result
    task: Task
    queries: Sequence[Query]
    again: Again
    slack: float

    def check(self, folder: Path, read: Tables) -> None:
        made = artifacts.read_table(folder / results.PER_QUERY_FILE)
        wrongs, moved = len(self.found.problems), self._queries(read.queries, made)
        if read.similarities is not None:
            self._cosines(read.similarities, artifacts.read_table(folder / results.SIMILARITIES_FILE))
        else:
            self._inflation()
        sizes: Mapping[str, int] = {}
        if (folder / results.PER_IMAGE_FILE).is_file():
            images = artifacts.read_table(folder / results.PER_IMAGE_FILE)
            sizes = Counter(images.get("language", ()))
            moved += 0 if read.images is None else self._images(read.images, images)
        self._figures(sizes)
        if len(self.found.problems) == wrongs:
            most = max(
                abs(self.again.fields[name][key] - value)
                for name in ("metrics", "metrics_before")
                for key, value in getattr(self.result, name).items()
                if key != "median_rank"
            )
            self.found.checked.append(
                f"searched again: equal within {self.slack:g} of each score: {moved:,} ranks differ by near-ties, "
                f"figures by at most {most:.2g}"
            )

    def _queries(self, stored: Table, made: Table) -> int:
        """How many ranks differ within the bands of their scores; others are problems."""
        moved = 0
        for column in stored:
            if stored[column] == made.get(column):
                continue
            if "rank" not in column and "average_precision" not in column:
                if column not in ("above", "equal"):  # they follow the rank
                    self._wrong(results.PER_QUERY_FILE, f"{column} is not what searching again gives")
                continue
            rows = _unequal(stored[column], made[column])
            far = [row for row in rows if not self._allowed(column, row, stored[column][row])]
            moved += len(rows)
            if far:
                first = f"{stored[column][far[0]]} stored, {made[column][far[0]]} found"
                ids = some([self.queries[row].id for row in far])
                self._wrong(
                    results.PER_QUERY_FILE, f"{column} is not what searching again gives: query {ids} ({first})"
                )
        return moved

    def _allowed(self, column: str, row: int, stored: float | None) -> bool:
        before = column.endswith(BEFORE)
        vectors = self.again.vectors.before if before else self.again.vectors.after
        if stored is None or vectors is None:
            return False
        query, gallery = self.queries[row], self.task.gallery
        name = column.removesuffix(BEFORE)
        kept = np.ones(len(gallery), bool)
        if name.startswith("subset_") and not (isinstance(vectors, Fused) and vectors.fusions[row] in BY_RANK):
            kept[:] = False
            kept[[gallery.index[image] for image in query.subset]] = True
        kept[[gallery.index[image] for image in query.excluded]] = False
        columns = np.flatnonzero(kept)
        right = np.isin(columns, [gallery.index[image] for image in self._right(name, query)])
        own = np.isin(columns, [gallery.index[image] for image in query.positives])
        members = np.ones(len(columns), bool)
        if name.startswith("subset_"):
            members = np.isin(columns, [gallery.index[image] for image in query.subset])
        bands = list(slack.bands(vectors, row, self.again.vectors.images, columns, self.slack))
        if len(bands) > 1 and not name.startswith("subset_"):
            # Fused by 'best': the part that ranks the query's own image highest, and any that is as good.
            found = [band.rank(own) for band in bands]
            least = min(high for _, high in found)
            bands = [band for band, (low, _) in zip(bands, found, strict=True) if low <= least]
        bounds = []
        for band in bands:
            among = slack.Band(band.low[members], band.high[members])
            measure = among.precision if name == "average_precision" else among.rank
            bounds.append(measure(right[members]))
        low, high = slack.widest(bounds)
        return low <= stored <= high

    def _right(self, name: str, query: Query) -> Sequence[str]:
        if "_grade_" in name:
            least = float(name.partition("_grade_")[2])
            return [image for image, grade in graded_images(query).items() if grade >= least]
        if name == "average_precision":
            gallery = self.task.gallery
            pairs = zip(gallery.ids, gallery.categories, strict=True)
            return [image for image, category in pairs if category == query.category]
        return query.positives

    def _cosines(self, stored: Table, made: Table) -> None:
        """Each lies on the grid, so one step apart where it was rounded otherwise."""
        for column in stored:
            if column == "query_id":
                continue
            one, other = (np.array(table[column], np.float64) for table in (stored, made))
            apart = (np.isnan(one) != np.isnan(other)) | (np.abs(one - other) > STEP + 2 * self.slack)
            if apart.any():
                ids = some([self.queries[row].id for row in np.flatnonzero(apart).tolist()])
                self._wrong(results.SIMILARITIES_FILE, f"{column} is not what searching again gives: query {ids}")

    def _images(self, stored: Table, made: Table) -> int:
        """The way back: by each rank's band where a query is one vector, else by the figures alone."""
        moved = 0
        for column in stored:
            if stored[column] == made.get(column):
                continue
            if column in ("image_id", "language", "cluster"):
                self._wrong(results.PER_IMAGE_FILE, f"{column} is not what searching again gives")
                continue
            vectors = self.again.vectors.before if column.endswith(BEFORE) else self.again.vectors.after
            rows = _unequal(stored[column], made[column])
            moved += len(rows)
            if isinstance(vectors, np.ndarray):
                allowed = self._texts(vectors, stored)
                far = [row for row in rows if not allowed(row, stored[column][row])]
                if far:
                    names = some([stored["image_id"][row] for row in far])
                    self._wrong(results.PER_IMAGE_FILE, f"{column} is not what searching again gives: image {names}")
        return moved

    def _texts(self, vectors: np.ndarray, stored: Table) -> Callable[[int, float], bool]:
        """Whether a row of per_image.parquet may hold a number."""
        gallery, by_category = self.task.gallery, protocol_named(self.result.protocol).relevance == "category"
        tags = np.array([query.language if "language" in stored else "" for query in self.queries])
        of_images, of_queries = categories(gallery, self.queries) if by_category else (None, None)

        def allowed(row: int, number: float) -> bool:
            image = stored["image_id"][row]
            column = gallery.index[image]
            texts = np.flatnonzero(tags == stored.get("language", [""] * (row + 1))[row])
            if of_images is not None and of_queries is not None:
                right = of_queries[texts] == of_images[column]
            else:
                right = np.array([image in self.queries[text].positives for text in texts.tolist()])
            scores = vectors[texts].astype(np.float64) @ self.again.vectors.images[column].astype(np.float64)
            band = slack.Band(scores - self.slack, scores + self.slack)
            low, high = band.precision(right) if by_category else band.rank(right)
            return low <= number <= high

        return allowed

    def _figures(self, sizes: Mapping[str, int]) -> None:
        """Figures that no ranks were compared for: of the way back, where queries are fused or its table is missing.

        `sizes` are how many images each language has, of which two may come out otherwise.
        """
        for name in ("metrics", "metrics_before", "intervals", "deltas"):
            said, due = getattr(self.result, name), self.again.fields[name]
            for key in (key for key in sorted({*said, *due}) if key.startswith(I2T)):
                most = max(FIGURE, 2 / sizes.get(key.partition("/")[2], math.inf))
                if key not in said or key not in due or _distance(said[key], due[key]) > most:
                    self.found.differs(
                        f"{name}[{key!r}]", plain(said.get(key)), plain(due.get(key)), "searching again gives"
                    )

    def _inflation(self) -> None:
        said, due = self.result.inflation, self.again.fields["inflation"]
        for name in ("before", "after"):
            one, other = getattr(said, name), getattr(due, name)
            if _distance(one, other) > STEP + 2 * self.slack:
                self.found.differs(f"inflation.{name}", plain(one), plain(other), "searching again gives")

    def _wrong(self, file: str, what: str) -> None:
        self.found.wrong(file, what)
