"""The two files that the test server of CIRR takes: it alone has the labels of the split test1."""

from __future__ import annotations

from typing import Any

from grapebench.errors import UserError
from grapebench.export.source import Source, ranked
from grapebench.leaderboard.results import RUN_FILE, SUBSET_RUN_FILE

DATASET = "cirr"
SPLIT = "test1"
MOST_BYTES = 5_000_000
"""What the server takes of one file."""
NAMES = {"recall": 50, "recall_subset": 3}
"""How many images the server takes for each query, by metric."""


def submission(source: Source) -> dict[str, dict[str, Any]]:
    """`recall.json` and `recall_subset.json`, each from pairid to names of images, best first.

    Raises UserError for what the server would refuse: another split, too few names, the reference among them, and in
    the subset a name that is not one of the query's look-alikes.
    """
    if source.task.split != SPLIT:
        raise UserError(f"result {source.result.id} is one of {source.task.split}; the server scores {SPLIT}")
    return {
        "recall.json": _names(source, "recall", RUN_FILE),
        "recall_subset.json": _names(source, "recall_subset", SUBSET_RUN_FILE),
    }


def _names(source: Source, metric: str, file: str) -> dict[str, Any]:
    queries, wanted = source.task.queries, NAMES[metric]
    found = ranked(source, file, [query.id for query in queries], source.task.gallery.index, wanted)
    for query in queries:
        names = found[query.id]
        what = None
        if query.reference in names:
            what = f"names its own reference image {query.reference!r}"
        elif metric == "recall_subset" and (others := [name for name in names if name not in query.subset]):
            what = f"names {others[0]!r}, which is not one of its look-alikes"
        elif len(names) < wanted:
            what = f"has {len(names)} images where the server takes {wanted}"
        if what:
            raise UserError(f"query {query.id!r} {what}", file=source.folder / file)
    return {"version": "rc2", "metric": metric, **found}
