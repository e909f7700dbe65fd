"""What K answers cost: processor time a query, frozen and trained, on one thread.

Timed in turns, so that a busy moment of the machine hits all alike; the trained model is the one that is shipped, which
differs from the study's in the length of its training alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from grapebench.files import write_text
from study.plan import TWO

if TYPE_CHECKING:
    from grapebench.records import Query
    from grapebench.rewriters import LoadedRewriter

KEPT = "latency.json"
COUNTS = (0, 1, 2, 4, 8)
"""How many answers are sampled; 0 stands for one greedy answer."""
QUERIES = 128
"""Of each task; its test split has more."""
TURNS = 3
CARDS = {"frozen": "llm", "trained": "grape"}


def key(task: str, trained: bool, answers: int) -> str:
    return f"{task}, {'trained' if trained else 'frozen'}, {answers or 'greedy'}"


def kept(out: Path) -> dict[str, float]:
    """Milliseconds a query, by `key`; empty where nothing was timed yet."""
    path = out / KEPT
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def keep(out: Path) -> None:
    """Time all of them, unless that was done."""
    if kept(out):
        return
    import torch

    torch.set_num_threads(1)
    found = {
        key(task, model == "trained", count): round(ms, 2)
        for task in TWO
        for (model, count), ms in _measured(task).items()
    }
    write_text(out / KEPT, json.dumps(found, indent=1) + "\n")


def _measured(task: str) -> dict[tuple[str, int], float]:
    ways = {(model, count): _way(task, card, count) for model, card in CARDS.items() for count in COUNTS}
    for rewriter, queries in ways.values():
        _asked(rewriter, queries[:1])  # a model is loaded now, and not while it is timed
    times: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for _ in range(TURNS):
        for way, (rewriter, queries) in ways.items():
            began = time.process_time()
            _asked(rewriter, queries)
            times[way].append(1000 * (time.process_time() - began) / QUERIES)
    return {way: median(some) for way, some in times.items()}


def _way(task: str, card: str, count: int) -> tuple[LoadedRewriter, Sequence[Query]]:
    from grapebench.retrieval import open_retriever
    from grapebench.rewriters.samples import expand
    from study.testing import open_test

    probe = replace(open_test(task, open_retriever(None, "mini"), QUERIES), card=card)
    rewriter = probe.rewriter({"sample": True, "temperature": 1.0} if count else {})
    queries = probe.asked(rewriter, 0, lambda *_: None)
    return rewriter, [one for query in queries for one in expand(query, max(1, count))]


def _asked(rewriter: LoadedRewriter, queries: Sequence[Query]) -> None:
    answers: Iterator[object] = iter(rewriter.rewriter.rewrite(queries))
    for _ in answers:
        pass
