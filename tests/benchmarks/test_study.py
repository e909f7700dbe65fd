"""The study as a command, its trainings replaced by made-up records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from study import geometry, kept, latency, work
from study.plan import TWO, Cell, Part, Run, base, plan

from grapebench import files

IMAGES = 60


def made_up(run: Run) -> dict[str, Any]:
    """A record as `work.perform` makes it; trained models rank better than frozen ones."""
    rng = np.random.default_rng(int(work.key(run), 16) % 2**32)

    def figures(shift: float) -> dict[str, Any]:
        ranks = np.maximum(1, rng.integers(1, 40, IMAGES) - (15 if run.steps else 0)).tolist()
        found = {f"R@{k}": float(np.mean(np.array(ranks) <= k)) for k in (1, 10)}
        wording = dict.fromkeys(("facts", "known_pairs", "repetition", "unusable", "tokens", "words"), 0.5)
        cosines = {"positive": 0.5 + shift, "others": shift / 2, "top_others": 0.4, "margin": 0.1 + shift / 2}
        return found | wording | cosines | {"ms": 5.0, "ranks": ranks}

    pairing = {"clusters": [f"image {place}" for place in range(IMAGES)], "weights": []}
    record: dict[str, Any] = {"key": work.key(run), "run": asdict(run), "test": {}, "seconds": 1.0, "environment": {}}
    for task in run.tested:
        ways = ["greedy", *(f"mean-{count}" for count in run.answers if task == run.task)]
        record["test"][task] = {way: figures(0.1 if run.steps else 0.0) for way in ways}
        if not run.steps:
            record["test"][task] |= pairing
    if run.steps:
        record |= {"reason": "finished", "training_seconds": 120.0, "attempts": 100}
        record["val"] = [{"positive": 0.5 + step / 50, "margin": -step / 100} for step in range(1 + run.seed, 5)]
    return record


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that were performed, in their order."""
    done: list[Run] = []

    def perform(run: Run, out: Path, report: Callable[[str, int, int], None]) -> dict[str, Any]:
        assert out.is_absolute()  # else an adapter in it would be looked for beside the card
        done.append(run)
        (work.training_folder(run, out) / "checkpoints").mkdir(parents=True)
        return made_up(run)

    monkeypatch.setattr(work, "perform", perform)
    return done


def small() -> dict[str, Part]:
    """Two parts that share their control."""
    rewards = ("rank-linear", "similarity")
    cells = tuple(Cell("cirr", reward, tuple(Run("cirr", seed, 5, reward) for seed in (0, 1))) for reward in rewards)
    pools = tuple(Cell("cirr", str(pool), (Run("cirr", 0, 5, pool=pool),)) for pool in (100, "corpus"))
    return {
        "rewards": Part("rewards", "Which?", cells, "similarity"),
        "pool": Part("pool", "How many?", pools, "corpus"),
    }


def test_a_run_that_is_kept_is_not_repeated(study: ModuleType, performed: list[Run], tmp_path: Path) -> None:
    parts = small()
    study.run_all({"rewards": parts["rewards"]}, tmp_path)
    assert len(performed) == 5
    assert performed[0] == Run("cirr").frozen
    study.run_all(parts, tmp_path)
    assert performed[5:] == [Run("cirr", 0, 5, pool=100)]
    assert set(kept.read(tmp_path)) == {work.key(run) for run in performed}
    assert not any((tmp_path / "trainings").iterdir())


def test_a_killed_study_goes_on(
    study: ModuleType, performed: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform = work.perform

    def killed(run: Run, out: Path, report: Any) -> dict[str, Any]:
        if len(performed) == 2:
            raise KeyboardInterrupt
        return perform(run, out, report)

    monkeypatch.setattr(study, "plan", small)
    monkeypatch.setattr(work, "perform", killed)
    monkeypatch.chdir(tmp_path.parent)
    assert study.main(["--out", tmp_path.name]) == 130
    assert len(kept.read(tmp_path)) == 2
    path = tmp_path / kept.RUNS
    path.write_bytes(path.read_bytes()[:-9])  # the last line was not whole yet
    monkeypatch.setattr(work, "perform", perform)
    assert study.main(["--out", str(tmp_path)]) == 0
    assert [work.key(run) for run in performed[:2]].count(work.key(performed[2])) == 1
    assert len(performed) == 7
    assert len(kept.read(tmp_path)) == 6


def test_another_process_has_its_runs_to_itself(study: ModuleType, performed: list[Run], tmp_path: Path) -> None:
    taken = Run("cirr", 0, 5, pool=100)
    with files.alone(tmp_path / "running" / work.key(taken), "studying"):
        study.run_all({"pool": small()["pool"]}, tmp_path)
    assert taken not in performed
    assert len(performed) == 2
    study.run_all({"pool": small()["pool"]}, tmp_path)
    assert performed[2:] == [taken]


def test_folders_are_kept_when_asked_for(study: ModuleType, performed: list[Run], tmp_path: Path) -> None:
    study.run_all({"pool": small()["pool"]}, tmp_path, keep=True)
    assert {path.name for path in (tmp_path / "trainings").iterdir()} == {work.key(run) for run in performed}


def test_keys_tell_all_runs_apart_and_hold_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = list(dict.fromkeys(run for part in plan().values() for run in part.runs()))
    assert len({work.key(run) for run in runs}) == len(runs)
    run = base("cirr", 0)
    before = work.key(run)
    assert before != work.key(replace(run, answers=(2,)))
    monkeypatch.setattr(work, "weights", lambda: ["another model"])
    assert work.key(run) != before


def test_tables_say_what_the_records_hold(
    study: ModuleType, performed: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(study, "plan", small)
    assert study.main(["--out", str(tmp_path), "--only", "rewards"]) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "tables.md").read_text() == printed
    recall, cosines, wording = (
        [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.splitlines() if "---" not in line]
        for block in printed.split("\n\n")
        if block.startswith("| ")
    )
    head, frozen, linear, similarity = recall
    record = kept.read(tmp_path)[work.key(Run("cirr").frozen)]
    assert frozen[head.index("R@10")] == f"{100 * record['test']['cirr']['greedy']['R@10']:.1f}"
    assert (linear[1], similarity[1]) == ("rank-linear", "similarity")
    assert float(linear[head.index("p")]) < 0.05
    assert similarity[head.index("p to similarity")] == ""
    assert linear[head.index("minutes")] == "2.0"
    head, frozen, linear, _ = cosines
    assert (frozen[head.index("positive")], linear[head.index("positive")]) == ("0.500", "+0.100 ± 0.000")
    assert linear[head.index("common share")] == "0.50"
    assert wording[2][wording[0].index("facts")] == "50.0 ± 0.0"
    for name in ("rewards.png", "rewards-inflation.png", "rewards-course.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert f"![]({name})" in printed


def test_the_whole_plan_is_drawn_from_whatever_is_there(
    study: ModuleType, performed: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.main(["--out", str(tmp_path), "--draw"]) == 0
    assert capsys.readouterr().out == ""
    runs = list(dict.fromkeys(run for part in plan().values() for run in part.runs()))
    for run in runs[:12]:
        kept.append(tmp_path, made_up(run))
    assert study.main(["--out", str(tmp_path), "--draw"]) == 0
    assert "## rewards (" in capsys.readouterr().out
    for run in runs[12:]:
        kept.append(tmp_path, made_up(run))
    times = {
        latency.key(task, trained, k): 2.5 + k for task in TWO for trained in (False, True) for k in latency.COUNTS
    }
    (tmp_path / latency.KEPT).write_text(json.dumps(times))
    figures = dict.fromkeys((field.name for field in fields(geometry.Geometry)), 0.125)
    (tmp_path / geometry.KEPT).write_text(json.dumps({"hot": figures}))
    assert study.main(["--out", str(tmp_path), "--draw"]) == 0
    printed = capsys.readouterr().out
    for name in plan():
        assert f"## {name}\n" in printed
        assert (tmp_path / f"{name}.png").is_file()
    assert re.search(r"\| cirr \| frozen \| mean-8 \|.*\| 10\.5 \|", printed)
    assert "| hot | 0.125 |" in printed
    assert not performed


def test_a_part_that_does_not_exist_is_refused(study: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        study.main(["--out", str(tmp_path), "--only", "nothing"])
