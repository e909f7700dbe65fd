"""Results made up for the tests of the leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grapebench import files
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.leaderboard import artifacts
from grapebench.leaderboard.results import (
    BENCHMARK,
    I2T_RUN_FILE,
    PER_IMAGE_FILE,
    PER_QUERY_FILE,
    QUERIES_FILE,
    REWRITES_FILE,
    RUN_FILE,
    SIMILARITIES_FILE,
    SUBSET_RUN_FILE,
    Cost,
    Data,
    Delta,
    Environment,
    Inflation,
    Interval,
    Result,
    RetrieverRecord,
    RewriterRecord,
    Similarities,
    result_id,
)
from grapebench.leaderboard.store import folder_of

Make = Callable[..., Result]


@pytest.fixture
def make_result() -> Make:
    """A result from the few things that matter to a board."""

    def make(
        rewriter: str = "llm",
        r10: float = 0.5,
        *,
        suite: str = "mini",
        task: str = "cirr",
        protocol: str = "composed",
        seed: int = 0,
        oracle: bool = False,
        language_model: bool | None = True,
        fingerprint: str = "f" * 64,
        weights: str = "a" * 64,
        more: dict[str, float] | None = None,
        **changes: Any,
    ) -> Result:
        metrics = dict.fromkeys(PROTOCOLS[protocol].keys, r10 / 3)
        if protocol == "category-map":
            metrics["mAP"] = r10
        else:
            metrics |= {"R@1": r10 / 4, "R@5": r10 / 2, "R@10": r10, "median_rank": 7.0}
        if "R@50" in metrics:
            metrics["R@50"] = min(1.0, r10 * 1.5)
        metrics |= more or {}
        if not changes.get("labelled", True):
            metrics = {}
        shares = {key: value for key, value in metrics.items() if key != "median_rank"}
        split = changes.get("split", "test1")
        determinants = {"suite": suite, "task": task, "rewriter": rewriter, "seed": seed, "split": split}
        determinants |= {"fingerprint": fingerprint, "weights": weights, "protocol": protocol}
        values: dict[str, Any] = {
            "id": result_id(determinants),
            "determinants": determinants,
            "suite": suite,
            "task": task,
            "family": "compose",
            "benchmark": BENCHMARK,
            "revision": 1,
            "protocol": protocol,
            "split": split,
            "seed": seed,
            "retriever": RetrieverRecord(
                name="mini-clip", fingerprint=weights, description={"weights_sha256": weights}
            ),
            "rewriter": RewriterRecord(
                name=rewriter,
                title=f"The {rewriter}",
                mechanism="Mine" if language_model is None else "lm",
                fingerprint=fingerprint,
                oracle=oracle,
                language_model=language_model,
            ),
            "queries": 1000,
            "clusters": 500,
            "largest_cluster": 2,
            "gallery": 990,
            "metrics": metrics,
            "metrics_before": {key: value / 2 for key, value in metrics.items()},
            "intervals": {key: Interval(low=max(0, v - 0.02), high=min(1, v + 0.02)) for key, v in shares.items()},
            "deltas": {key: Delta(value=v - 0.4, low=v - 0.43, high=v - 0.37) for key, v in shares.items()},
            "ties": 0.001,
            "duplicates": 2,
            "fallbacks": {"empty": 3},
            "inflation": Inflation(
                before=Similarities(positive=0.3, others=0.1, top_others=0.25, margin=0.05),
                after=Similarities(positive=0.4, others=0.1, top_others=0.3, margin=0.1),
            )
            if metrics
            else None,
            "cost": Cost(
                prompt_tokens=100,
                completion_tokens=50,
                rewrite_seconds=2.0,
                encode_seconds=1.0,
                rewritten=1000,
                ms_per_query=2.0,
            ),
            "environment": Environment(
                grapebench="0.1.0",
                commit="0123456789abcdef0123456789abcdef01234567",
                dirty=False,
                python="3.11.2",
                packages={"torch": "2.15.0"},
                platform="Linux",
                cpu="a processor",
                gpu=None,
            ),
            "command": f"grapebench run --task {task} --rewriter {rewriter} --suite {suite} --seed {seed}",
            "created": "2025-01-01T00:00:00Z",
            "data": Data(dataset="d" * 64, images="e" * 64),
            "files": {},
        }
        return Result(**values | changes)

    return make


@pytest.fixture
def write_ranks() -> Callable[..., Path]:
    """Write ranks into a folder, of 100 queries of 50 images, so many of which stand among the first ten.

    With the raw query text 40 did.
    """

    def write(folder: Path, r10: float, *, seed: int = 0, **columns: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        place = np.random.default_rng(seed).permutation(100)
        table: dict[str, Any] = {
            "query_id": [f"q{number}" for number in range(100)],
            "language": ["de" if number % 4 else "zh" for number in range(100)],
            "positive": [f"i{number // 2}" for number in range(100)],
            "cluster": [f"i{number // 2}" for number in range(100)],
            "rank": np.where(place < round(100 * r10), 3, 40).astype(np.int32),
            "rank_before": np.where(np.arange(100) < 40, 3, 40).astype(np.int32),
        }
        artifacts.write_table(folder / PER_QUERY_FILE, table | columns)
        return folder

    return write


@pytest.fixture
def save_result() -> Callable[[Path, Result], Path]:
    """Write a made-up result with small files beside it into a store."""

    def save(store: Path, result: Result) -> Path:
        folder = folder_of(store, result.suite, result.task, result.retriever.name, result.rewriter.name, result.id)
        folder.mkdir(parents=True)
        contents = {
            REWRITES_FILE: b"rewrites",
            QUERIES_FILE: b"queries",
            PER_QUERY_FILE: b"ranks" * 40,
            PER_IMAGE_FILE: b"ranks" * 10,
            SIMILARITIES_FILE: b"cosines" * 20,
            RUN_FILE: b"run",
            SUBSET_RUN_FILE: b"run",
            I2T_RUN_FILE: b"run",
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        hashes = {name: files.sha256(content) for name, content in contents.items()}
        text = result.model_copy(update={"files": hashes}).model_dump_json(indent=2)
        (folder / "result.json").write_text(text, encoding="utf-8")
        return folder

    return save
