"""How long a large leaderboard takes to build, and how much memory.

    python benchmarks/board.py
    python benchmarks/board.py --tasks 1 --rewriters 500 --seeds 1

Makes a store of results as `grapebench run` leaves them, with made-up ranks, in a temporary folder; then times
`grapebench leaderboard build` in a process of its own, and `check` after it. Rewriters differ a little more than
chance, so that most pairs have to be drawn for; of each result the files that a board reads are whole.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grapebench import catalog, files
from grapebench.cards import TaskCard
from grapebench.evaluation import figures
from grapebench.evaluation.figures import Places, Sheet
from grapebench.evaluation.protocols import protocol_named
from grapebench.leaderboard import artifacts, results, store
from grapebench.leaderboard.results import (
    Cost,
    Data,
    Delta,
    Environment,
    Interval,
    Result,
    RetrieverRecord,
    RewriterRecord,
)
from grapebench.records import Query, Rewrite

LANGUAGES = 36
PER_IMAGE = 2
"""Queries of one image."""


@dataclass(frozen=True)
class Size:
    tasks: int
    rewriters: int
    seeds: int
    queries: int

    @property
    def results(self) -> int:
        return self.tasks * self.rewriters * self.seeds


@dataclass(frozen=True)
class Asked:
    """The queries of a task, and what the raw query text finds."""

    card: TaskCard
    ids: list[str]
    languages: list[str]
    clusters: list[str]
    chance: np.ndarray
    """`(queries,)`: of a query to be among the first ten."""
    before: np.ndarray
    """`(queries,)`: ranks."""


def tasks(size: Size, random: np.random.Generator) -> list[Asked]:
    """Of the cards that a board has a mean over."""
    cards = [catalog.task_card(name).card for name in catalog.task_names()]
    cards = [card for card in cards if card.overall and card.mini is not None]
    return [_asked(card, size.queries, random) for card in cards[: size.tasks]]


def _asked(card: TaskCard, queries: int, random: np.random.Generator) -> Asked:
    images = np.arange(queries) // PER_IMAGE
    chance = random.beta(1, 1, images.max() + 1)[images]
    languages = [f"l{number % LANGUAGES}" for number in range(queries)]
    return Asked(
        card,
        [f"q{number}" for number in range(queries)],
        languages if protocol_named(card.protocol).by == "language" else ["en"] * queries,
        [f"{image:06}.jpg" for image in images],
        chance,
        _ranks(chance * 0.5, random),
    )


def _ranks(chance: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Among the first ten with a chance, else anywhere in a gallery."""
    near = random.integers(1, 11, len(chance))
    far = random.integers(11, len(chance) + 11, len(chance))
    return np.where(random.random(len(chance)) < chance, near, far).astype(np.int32)


def make(folder: Path, size: Size) -> None:
    """The store."""
    random = np.random.default_rng(0)
    for asked in tasks(size, random):
        for number in range(size.rewriters):
            # The third is the reference of the others, the first two are the raw text and an oracle.
            name = ("identity", "oracle", "llm")[number] if number < 3 else f"rewriter-{number}"
            gain = (0.0, 3.0, 0.5)[number] if number < 3 else 0.5 + number / size.rewriters
            for seed in range(size.seeds):
                chance = 1 - (1 - asked.chance * 0.5) ** (1 + gain)
                ranks = asked.before if name == "identity" else _ranks(chance, random)
                _write(folder, asked, name, seed, ranks)


def _write(folder: Path, asked: Asked, name: str, seed: int, ranks: np.ndarray) -> None:
    card, suite = asked.card, asked.card.mini
    assert suite is not None
    determinants = {"task": card.name, "rewriter": name, "seed": seed, "split": suite.default_split}
    identity = results.result_id(determinants)
    place = store.folder_of(folder, "mini", card.name, "mini-clip", name, identity)
    with files.atomic_folder(place) as temporary:
        columns: dict[str, Any] = {"query_id": asked.ids, "language": asked.languages}
        columns |= {"positive": asked.clusters, "cluster": asked.clusters}
        columns |= {"rank": ranks, "rank_before": asked.before, "above": ranks - 1, "equal": ranks * 0}
        columns |= {"candidates": np.full(len(ranks), len(ranks) + 10, np.int32), "fallback": [None] * len(ranks)}
        artifacts.write_table(temporary / results.PER_QUERY_FILE, columns)
        few = [(Query(one, "text"), Rewrite(one, ("another text",))) for one in asked.ids[:100]]
        artifacts.write_rewrites(temporary / results.REWRITES_FILE, *map(list, zip(*few, strict=True)))
        hashes = {path.name: files.sha256_file(path) for path in sorted(temporary.iterdir())}
        result = _result(asked, name, seed, identity, determinants, ranks, hashes)
        files.write_text(temporary / results.RESULT_FILE, result.model_dump_json(indent=2))


def _figures(asked: Asked, ranks: np.ndarray) -> dict[str, float]:
    protocol = protocol_named(asked.card.protocol)
    places = Places(ranks)
    macro = protocol.by == "language"
    sheet = Sheet(
        figures.query_values(protocol, places), asked.clusters, (asked.languages,) if macro else (), macro=macro
    )
    return figures.figures(protocol, [sheet], places)


def _result(
    asked: Asked, name: str, seed: int, identity: str, determinants: dict[str, Any], ranks: np.ndarray,
    hashes: dict[str, str],
) -> Result:  # fmt: skip
    card, suite = asked.card, asked.card.mini
    assert suite is not None
    after, before = _figures(asked, ranks), _figures(asked, asked.before)
    gain = {key: after[key] - before[key] for key in after}
    # A bootstrap of each result would take far longer than the board.
    width = {key: 1.96 * (value * (1 - value) / len(ranks)) ** 0.5 for key, value in after.items() if value <= 1}
    return Result(
        id=identity, determinants=determinants, suite="mini", task=card.name, family=card.family,
        benchmark=results.BENCHMARK, revision=card.revision, protocol=card.protocol, split=suite.default_split,
        seed=seed,
        retriever=RetrieverRecord(name="mini-clip", fingerprint="0" * 64),
        rewriter=RewriterRecord(
            name=name, title=name, mechanism="lm", fingerprint=files.sha256(name), oracle=name == "oracle",
            language_model=name != "oracle",
        ),
        queries=len(ranks), clusters=len(set(asked.clusters)), largest_cluster=PER_IMAGE, gallery=len(ranks) + 10,
        metrics=after, metrics_before=before,
        intervals={key: Interval(low=after[key] - w, high=after[key] + w) for key, w in width.items()},
        deltas={key: Delta(value=gain[key], low=gain[key] - w, high=gain[key] + w) for key, w in width.items()},
        ties=0.0, duplicates=0, fallbacks={}, inflation=None,
        cost=Cost(
            prompt_tokens=100 * len(ranks), completion_tokens=20 * len(ranks), rewrite_seconds=1.0, encode_seconds=1.0,
            rewritten=len(ranks), ms_per_query=2.0,
        ),
        environment=Environment(
            grapebench="0", commit="0" * 40, dirty=False, python="3", packages={}, platform="", cpu="", gpu=None
        ),
        command=f"grapebench run --task {card.name} --rewriter {name} --seed {seed}", created="2026-01-01T00:00:00Z",
        data=Data(dataset="0" * 64, images="0" * 64), files=hashes,
    )  # fmt: skip


@dataclass(frozen=True)
class Took:
    seconds: float
    processor: float
    """Seconds of the processor, all threads and the system's own."""
    mib: float
    """At its largest."""


def build(folder: Path, command: str = "build") -> Took:
    """`grapebench leaderboard build` or `check` of a store, in a process of its own."""
    start = time.perf_counter()
    arguments = [sys.executable, "-m", "grapebench", "leaderboard", command, "--results", str(folder)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`leaderboard {command}` ended with code {process.returncode}")
    return Took(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def table(size: Size, stored: float, took: dict[str, Took]) -> str:
    tables = "1 table" if size.tasks == 1 else f"{size.tasks} tables"
    lines = [
        f"### {size.results} results of {size.queries:,} queries in {tables}, {stored:.0f} MiB",
        "",
        "| command | seconds | processor, s | MiB |",
        "|---|---|---|---|",
        *(f"| {name} | {one.seconds:.1f} | {one.processor:.1f} | {one.mib:.0f} |" for name, one in took.items()),
    ]
    return "\n".join(lines)


def measure(size: Size) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "results"
        make(folder, size)
        stored = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
        return table(size, stored, {name: build(folder, name) for name in ("build", "check")})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=5)
    parser.add_argument("--rewriters", type=int, default=34)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=5000)
    chosen = parser.parse_args(arguments)
    print(measure(Size(chosen.tasks, chosen.rewriters, chosen.seeds, chosen.queries)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
