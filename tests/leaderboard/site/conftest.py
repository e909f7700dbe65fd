"""Made-up results with all their files, and the pages that are built from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grapebench import files
from grapebench.evaluation import trec
from grapebench.leaderboard import artifacts
from grapebench.leaderboard.results import (
    PER_QUERY_FILE,
    QUERIES_FILE,
    REWRITES_FILE,
    RUN_FILE,
    SIMILARITIES_FILE,
    Result,
)
from grapebench.leaderboard.store import folder_of
from grapebench.records import Query, Rewrite
from grapebench.rewriters.recot import CONCEPTS
from tests.leaderboard.site.made import EVIL, Add

DEPTH = 15
"""How many images of each query the run lists."""


@pytest.fixture
def add(make_result: Callable[..., Result]) -> Add:
    """Write a whole result into a store: ranks and runs by chance, the same for the same seed."""

    def write(
        store: Path,
        rewriter: str = "llm",
        *,
        count: int = 40,
        rewrite: Callable[[int], str | None] = lambda number: f"a picture of thing {number}",
        texts: bool = True,
        run: bool = True,
        fallback: dict[int, str] | None = None,
        trace: dict[int, dict[str, str]] | None = None,
        languages: tuple[str, ...] = ("en",),
        **changes: Any,
    ) -> Path:
        fallback, trace = fallback or {}, trace or {}
        labelled = changes.get("labelled", True)
        images = [f"img-{number}" for number in range(min(max(20, count // 2), 1000))]
        queries = [
            Query(f"q{n}", f"Ding {n} {'屋' * (n % 3)}", (images[n % len(images)],), languages[n % len(languages)])
            for n in range(count)
        ]
        rng = np.random.default_rng([len(rewriter), changes.get("seed", 0)])
        rank = np.minimum(rng.geometric(0.12, count), len(images)).astype(np.int32)
        before = np.minimum(np.random.default_rng(7).geometric(0.05, count), len(images)).astype(np.int32)
        told = [rewrite(number) for number in range(count)]
        rewrites = [
            Rewrite(query.id, texts=(text or query.text,), fallback=fallback.get(n), trace=trace.get(n, {}))
            for n, (query, text) in enumerate(zip(queries, told, strict=True))
        ]
        if all(text is None for text in told):
            rank = before
        defaults = {"suite": "full", "task": "pets", "protocol": "retrieval", "queries": count, "gallery": len(images)}
        result = make_result(rewriter, float(np.mean(rank <= 10)), **(defaults | changes))
        folder = folder_of(store, result.suite, result.task, result.retriever.name, result.rewriter.name, result.id)
        folder.mkdir(parents=True)
        artifacts.write_rewrites(folder / REWRITES_FILE, queries, rewrites)
        if texts:
            artifacts.write_queries(folder / QUERIES_FILE, queries)
        if labelled:
            columns: dict[str, Any] = {
                "query_id": [query.id for query in queries],
                "language": [query.language for query in queries],
                "positive": [query.positives[0] for query in queries],
                "cluster": [query.positives[0] for query in queries],
                "rank": rank,
                "rank_before": before,
                "above": rank - 1,
                "equal": np.zeros(count, np.int32),
                "candidates": np.full(count, len(images), np.int32),
                "fallback": [fallback.get(n) for n in range(count)],
            }
            artifacts.write_table(folder / PER_QUERY_FILE, columns)
            cosines = {"query_id": columns["query_id"]}
            for suffix, shift in (("_before", 0.0), ("", 0.1)):
                for name, mean in (("positive", 0.3), ("others", 0.0), ("top_others", 0.25), ("margin", 0.05)):
                    cosines[f"similarity_{name}{suffix}"] = rng.normal(mean + shift, 0.05, count)
            artifacts.write_table(folder / SIMILARITIES_FILE, cosines)
        if run:
            order = np.array([_listing(n % len(images), int(rank[n]), len(images)) for n in range(count)])
            scores = np.tile(np.linspace(1, 0, DEPTH, dtype=np.float32), (count, 1))
            trec.write_run(folder / RUN_FILE, [query.id for query in queries], images, order[:, :DEPTH], scores)
        hashes = {path.name: files.sha256_file(path) for path in sorted(folder.iterdir())}
        text = result.model_copy(update={"files": hashes}).model_dump_json(indent=2)
        (folder / "result.json").write_text(text, encoding="utf-8")
        return folder

    return write


def _listing(target: int, rank: int, images: int) -> list[int]:
    others = [column for column in range(images) if column != target]
    return [*others[: rank - 1], target, *others[rank - 1 :]]


@pytest.fixture
def some(tmp_path: Path, add: Add) -> Path:
    """A store with a raw row, two seeds, an oracle, and one whose every text is an attack."""
    store = tmp_path / "store"
    add(store, "identity", rewrite=lambda number: None)
    add(store, "llm", trace={3: {CONCEPTS: "whiskers"}}, fallback={5: "empty"})
    add(store, "llm", seed=1)
    add(store, "oracle", oracle=True)
    add(
        store, EVIL, rewrite=lambda number: f"{EVIL} {number}", fallback={1: EVIL}, trace={2: {EVIL: EVIL}},
        command=f"grapebench run {EVIL}",
    )  # fmt: skip
    return store
