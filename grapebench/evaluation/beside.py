"""What a measurement leaves: the files beside result.json, and the figures in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grapebench.evaluation import clusters, figures, inflation, trec
from grapebench.evaluation.figures import ImagePlaces, Places, Sheet
from grapebench.evaluation.measure import Measured
from grapebench.evaluation.protocols import Protocol
from grapebench.leaderboard import artifacts, results
from grapebench.records import Gallery, Query, Rewrite
from grapebench.rewriters import answers, output, samples

CAPTION = "caption "
"""What the reasons begin with where it was a caption that never came, or was cut off."""


def write_files(
    folder: Path, protocol: Protocol, gallery: Gallery, queries: Sequence[Query], measured: Measured
) -> None:
    """Rewrites, run files and, where there are labels, ranks."""
    artifacts.write_queries(folder / results.QUERIES_FILE, queries)
    artifacts.write_rewrites(folder / results.REWRITES_FILE, queries, measured.rewrites)
    ids, listings = [query.id for query in queries], measured.listings
    trec.write_run(folder / results.RUN_FILE, ids, gallery.ids, *listings.images)
    if listings.subset is not None:
        trec.write_run(folder / results.SUBSET_RUN_FILE, ids, gallery.ids, *listings.subset)
    if listings.texts is not None:
        trec.write_run(folder / results.I2T_RUN_FILE, gallery.ids, ids, *listings.texts)
    if measured.sides is not None:
        names = clusters.clusters(protocol, queries)
        artifacts.write_table(folder / results.PER_QUERY_FILE, _per_query(protocol, queries, names, measured))
        artifacts.write_table(folder / results.SIMILARITIES_FILE, _similarities(queries, measured))
        before, after = (side.back for side in measured.sides)
        if before is not None and after is not None:
            of_images = clusters.of_images(protocol, after.images, queries, names)
            artifacts.write_table(folder / results.PER_IMAGE_FILE, _per_image(before, after, of_images))


def _per_query(
    protocol: Protocol, queries: Sequence[Query], names: Sequence[str], measured: Measured
) -> dict[str, Any]:
    assert measured.sides is not None
    sides = dict(zip(("_before", ""), measured.sides, strict=True))
    counted = sides[""].examined.ranking
    columns: dict[str, Any] = {
        "query_id": [query.id for query in queries],
        "language": [query.language for query in queries],
        "positive": [query.positives[0] for query in queries],
        "cluster": names,
        "rank": sides[""].places.rank.astype(np.int32),
        "rank_before": sides["_before"].places.rank.astype(np.int32),
        "above": counted.above.astype(np.int32),
        "equal": counted.equal.astype(np.int32),
        "candidates": counted.candidates.astype(np.int32),
    }
    if protocol.by == "category":
        columns["category"] = [query.category for query in queries]
    for suffix in ("", "_before"):
        columns |= {f"{name}{suffix}": values for name, values in _more_places(sides[suffix].places).items()}
    return columns | {"fallback": [rewrite.fallback for rewrite in measured.rewrites]}


def _similarities(queries: Sequence[Query], measured: Measured) -> dict[str, Any]:
    assert measured.sides is not None
    columns: dict[str, Any] = {"query_id": [query.id for query in queries]}
    for suffix, side in zip(("_before", ""), measured.sides, strict=True):
        cosines = inflation.figures(side.examined)
        columns |= {f"{artifacts.FLOATS}_{name}{suffix}": values for name, values in cosines.items()}
    return columns


def _more_places(places: Places) -> dict[str, Any]:
    """All but the rank, for those protocols that have it."""
    found: dict[str, Any] = {}
    if places.subset_rank is not None:
        found["subset_rank"] = places.subset_rank.astype(np.int32)
    for name, ranks in (("rank", places.grade_rank), ("subset_rank", places.grade_subset_rank)):
        if ranks is not None and places.grades is not None:
            for grade, row in zip(places.grades, ranks, strict=True):
                found[f"{name}_grade_{grade:g}"] = [int(rank) if rank < np.inf else None for rank in row]
    if places.precision is not None:
        found["average_precision"] = places.precision
    return found


def _per_image(before: ImagePlaces, after: ImagePlaces, names: Sequence[str]) -> dict[str, Any]:
    columns: dict[str, Any] = {"image_id": after.images, "cluster": names}
    if any(after.languages):
        columns["language"] = after.languages
    for suffix, places in (("", after), ("_before", before)):
        if places.rank is not None:
            columns[f"rank{suffix}"] = places.rank.astype(np.int32)
        if places.precision is not None:
            columns[f"average_precision{suffix}"] = places.precision
    return columns


def _tally(reasons: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(reason for reason in reasons if reason).items()))


def result_fields(
    protocol: Protocol, queries: Sequence[Query], groups: Mapping[str, str], measured: Measured
) -> dict[str, Any]:
    """All that is computed from rewrites, places and similarities, by field of the result."""
    told: dict[str, Any] = dict(tallies(measured.rewrites, measured.caption_tallies))
    if measured.sides is None:
        nothing: dict[str, Any] = {name: {} for name in ("metrics", "metrics_before", "intervals", "deltas")}
        return told | nothing | {"ties": 0.0, "inflation": None, "clusters": None, "largest_cluster": None}
    before, after = measured.sides
    names = clusters.clusters(protocol, queries)
    images = () if after.back is None else clusters.of_images(protocol, after.back.images, queries, names)
    both = tuple(sheets(protocol, queries, groups, side.places, side.back, names, images) for side in measured.sides)
    similarities = [inflation.summary(inflation.figures(side.examined)) for side in measured.sides]
    return told | {
        **figure_fields(protocol, (both[0], both[1]), (before.places, after.places)),
        **cluster_fields(names),
        "ties": tie_rate(after.examined.ranking.equal),
        "inflation": results.Inflation(before=similarities[0], after=similarities[1]),
    }


def cluster_fields(names: Sequence[str]) -> dict[str, int]:
    """How many clusters the queries are in, given the name of each query's."""
    sizes = clusters.sizes(names)
    return {"clusters": sizes.count, "largest_cluster": sizes.largest}


def tallies(
    rewrites: Sequence[Rewrite], captions: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, dict[str, int]]:
    """What went wrong with answers, by field of the result and by reason; `captions` is the same of a captioner."""
    found = output.tally(rewrites) | {
        "unanswered": _tally(answers.unanswered(rewrite) for rewrite in rewrites),
        "partial": _tally(samples.partial(rewrite) for rewrite in rewrites),
        "uncaptioned": {},
    }
    for name, counts in (captions or {}).items():
        start = "" if name == "uncaptioned" else CAPTION
        found[name] |= {f"{start}{reason}": count for reason, count in counts.items()}
    return {name: {key: counts[key] for key in sorted(counts) if counts[key]} for name, counts in found.items()}


def sheets(
    protocol: Protocol,
    queries: Sequence[Query],
    groups: Mapping[str, str],
    places: Places,
    back: ImagePlaces | None,
    names: Sequence[str],
    images: Sequence[str],
) -> list[Sheet]:
    """What the figures of one form of the queries are means of: of queries and, where images ask as well, of images.

    `names` are the clusters of the queries, `images` those of the images that ask.
    """
    found = [figures.query_sheet(protocol, queries, places, groups, names)]
    return found + ([figures.image_sheet(protocol, back, images)] if back is not None else [])


def figure_fields(
    protocol: Protocol, sheets: tuple[Sequence[Sheet], Sequence[Sheet]], places: tuple[Places, Places]
) -> dict[str, Any]:
    """All figures with their intervals and differences; each pair is before rewriting and after it."""
    before, after = (figures.figures(protocol, one, where) for one, where in zip(sheets, places, strict=True))
    bounds, changes = figures.share_intervals(sheets[1]), figures.difference_intervals(*sheets)
    return {
        "metrics": after,
        "metrics_before": before,
        "intervals": {key: results.Interval(low=bounds[key][0], high=bounds[key][1]) for key in after if key in bounds},
        "deltas": {
            key: results.Delta(value=after[key] - before[key], low=changes[key][0], high=changes[key][1])
            for key in after
            if key in changes
        },
    }


def tie_rate(equal: np.ndarray) -> float:
    """The share of queries `(queries,)` where another image scored as the best positive."""
    return float(np.count_nonzero(equal)) / len(equal)
