"""A result as TREC files: runs and qrels from which trec_eval counts the ranks that the result counted.

trec_eval reads scores as float32 and puts equal ones in the order of their ids, whatever the file says; here a tie
counts against the right image. So the files hold no ties: right images come after others of the same score, and a
score that is not below the one before it is lowered, by as little as float32 allows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from grapebench import files
from grapebench.errors import UserError
from grapebench.evaluation.protocols import PROTOCOLS, protocol_named
from grapebench.evaluation.trec import write_qrels, write_run
from grapebench.export.source import Source, scored
from grapebench.leaderboard import rows
from grapebench.leaderboard.results import PER_QUERY_FILE, RUN_FILE, SUBSET_RUN_FILE

QRELS = "qrels.trec"
RUNS = {RUN_FILE: ("run.trec", "rank"), SUBSET_RUN_FILE: ("subset.trec", "subset_rank")}
"""The runs of a result, what they become, and the column of per_query.parquet that they agree with."""

Listed = tuple[list[str], np.ndarray]
"""The images of one query, best first, and their scores."""


def write(source: Source, out: Path) -> tuple[list[Path], int]:
    """Write run.trec, subset.trec where there are look-alikes, and qrels.trec into the folder `out`, all or none.

    Returns their paths, and how many queries have their best right image in the ranking and beyond the run's end: there
    trec_eval counts 0 for what is 1/rank in the result's MRR. Raises UserError where the labels are not public, where
    right is not just what the query's own images are, and where the runs and the ranks of the result do not agree.
    """
    result, queries = source.result, source.task.queries[: source.result.limit]
    if not result.labelled:
        what = f"the labels of {result.task} {result.split} are not public: there are no qrels"
        raise UserError(what, file=source.folder, fix=f"its run alone is {source.folder / RUN_FILE}")
    if protocol_named(result.protocol).relevance != "own":
        known = ", ".join(name for name, one in PROTOCOLS.items() if one.relevance == "own")
        what = f"the figures of the protocol {result.protocol} are none that trec_eval has"
        raise UserError(what, file=source.folder, fix=f"export a result of: {known}")
    names, gallery = [query.id for query in queries], source.task.gallery
    table = rows.ranks(source.folder)
    runs: dict[str, list[Listed]] = {}
    for name, (goal, column) in RUNS.items():
        if name in result.files or name == RUN_FILE:
            found = scored(source, name, names, gallery.index)
            ranks = dict(zip(table["query_id"], table[column], strict=True))
            try:
                lists = [in_rank_order(*found[one.id], one.positives, ranks[one.id]) for one in queries]
            except (KeyError, ValueError) as error:
                raise UserError(f"{name} and {PER_QUERY_FILE} do not agree: {error}", file=source.folder) from error
            runs[goal] = lists
    paths = [out / name for name in (*runs, QRELS)]
    with contextlib.ExitStack() as stack:
        *for_runs, for_qrels = (stack.enter_context(files.atomic_file(path)) for path in paths)
        for file, lists in zip(for_runs, runs.values(), strict=True):
            write_run(file, names, gallery.ids, *_table(lists, gallery.index))
        write_qrels(for_qrels, {query.id: query.positives for query in queries})
    listed = runs[RUNS[RUN_FILE][0]]
    counted = zip(table["rank"], table["candidates"], listed, strict=True)
    return paths, sum(len(images) < rank <= candidates for rank, candidates, (images, _) in counted)


def in_rank_order(images: Sequence[str], scores: np.ndarray, positives: Collection[str], rank: int) -> Listed:
    """The images of one query such that the best of its positives stands at its pessimistic `rank`.

    A list is cut somewhere: where others of the same score as the best positive stand beyond its end, the positive
    belongs beyond it too, and is left out. Raises ValueError where the list cannot be that of the rank.
    """
    right = np.array([image in positives for image in images])
    order = np.lexsort((right, -scores))
    names, right, scores = [images[place] for place in order], right[order], scores[order]
    place = int(np.argmax(right)) if right.any() else len(names)
    if place < len(names) and place + 1 < rank and scores[place] == scores[-1]:
        names, scores, place = names[:place], scores[:place], len(names)
    if place + 1 != rank if place < len(names) else rank <= len(names):
        raise ValueError(f"a right image at place {place + 1} of {len(names)} is not one of rank {rank}")
    return names, scores


def _table(lists: Sequence[Listed], index: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Columns and untied scores, `(queries, most)`; column -1 where a list has ended."""
    most = max(len(names) for names, _ in lists)
    columns = np.full((len(lists), most), -1)
    scores = np.full((len(lists), most), -np.inf, np.float32)
    for row, (names, values) in enumerate(lists):
        columns[row, : len(names)] = [index[name] for name in names]
        scores[row, : len(names)] = values
    return columns, untied(scores)


def untied(scores: np.ndarray) -> np.ndarray:
    """Scores `(queries, k)`, best first, as float32 that fall at every step: lowered by as little as can be."""
    lowered = scores.astype(np.float32)
    for place in range(1, lowered.shape[1]):
        below = np.nextafter(lowered[:, place - 1], np.float32(-np.inf))
        lowered[:, place] = np.minimum(lowered[:, place], below)
    return lowered
