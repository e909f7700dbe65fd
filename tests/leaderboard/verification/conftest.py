"""A result of each protocol, made once for a module of tests that verify or forge it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.records import Query, Task
from tests.evaluation.world import CAPTIONS, by_shape, foreign, go, graded, loaded, task_of, unlabelled
from tests.leaderboard.verification.forging import Several, copied

DEPTH, TEXTS = 7, 3
Made = dict[str, tuple[Task, Path]]
"""Tasks and results by what they show."""


def plain_task(root: Path, protocol: str = "retrieval") -> Task:
    queries = [
        Query(f"q{n}", foreign(text), (f"i{n}",), language=("de", "zh")[n % 2]) for n, text in enumerate(CAPTIONS)
    ]
    return task_of(root, queries, protocol, "translate")


def composed_task(root: Path) -> Task:
    """Two queries each change the same image."""
    queries = [
        Query(f"q{n}", "snow instead", (f"i{n + 2}",), reference=f"i{n - n % 6}", excluded=(f"i{n - n % 6}",),
              subset=tuple(f"i{m}" for m in range(n + 1, n + 6)))
        for n in range(0, 54, 3)
    ]  # fmt: skip
    return task_of(root, queries, "composed", "compose")


TASKS: dict[str, Callable[[Path], Task]] = {
    "retrieval": plain_task,
    "multilingual": lambda root: plain_task(root, "multilingual"),
    "composed": composed_task,
    "graded": lambda root: graded(composed_task(root)),
    "categories": lambda root: by_shape(root, "categories"),
    "category-map": lambda root: by_shape(root, "category-map"),
    "unlabelled": lambda root: unlabelled(plain_task(root), len(CAPTIONS)),
}


@pytest.fixture(scope="module")
def short_lists() -> Any:
    """The made-up gallery is small: shorter lists leave something that they do not tell."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("grapebench.evaluation.search", "grapebench.leaderboard.verification.recount"):
            patch.setattr(f"{module}.RUN_DEPTH", DEPTH)
            patch.setattr(f"{module}.TEXTS", TEXTS)
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, short_lists: None) -> Made:
    """A result of each protocol, and of each way to fuse several texts."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, make in TASKS.items():
            root = tmp_path_factory.mktemp(name) / "data"
            root.mkdir()
            (root / "captions.json").write_text("{}")
            patch.setenv("GRAPEBENCH_HOME", str(root.parent / "home"))
            task = make(root)
            found[name] = task, go(task)
            for fusion in ("mean", "max", "rrf", "turns", "best") if name != "unlabelled" else ("rrf",):
                rewriter = loaded(Several(fusion), fusion, oracle=fusion == "best")
                found[f"{name} {fusion}"] = task, go(task, rewriter)
    return found


@pytest.fixture
def plain(results: Made, tmp_path: Path) -> tuple[Task, Path]:
    task, folder = results["retrieval"]
    return task, copied(folder, tmp_path)
