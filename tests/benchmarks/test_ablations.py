"""The ablations as a command, their trainings replaced by made-up records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ablations import work
from ablations.plan import FROZEN, TASKS, VARIANTS, WHOLE, Run, plan
from study import kept

from grapebench import files
from grapebench.evaluation.significance import holm, paired_p

IMAGES = 60
CLUSTERS = [f"image {place}" for place in range(IMAGES)]
SHIFTS = {FROZEN: 0, WHOLE: 16, "without D_QRE": 2}


def made_up(run: Run) -> dict[str, Any]:
    """A record as `work.perform` makes it; trained models rank better than frozen ones."""
    rng = np.random.default_rng(int(work.key(run), 16) % 2**32)
    ranks = np.maximum(1, rng.integers(1, 40, IMAGES) - SHIFTS.get(run.variant, 14)).tolist()
    greedy = {f"R@{k}": float(np.mean(np.array(ranks) <= k)) for k in (1, 10)} | {"ranks": ranks}
    greedy |= dict.fromkeys(("facts", "repetition", "unusable"), 0.5)
    record: dict[str, Any] = {"key": work.key(run), "run": asdict(run), "test": {run.task: {"greedy": greedy}}}
    if not run.trained:
        record["test"][run.task] |= {"clusters": CLUSTERS, "weights": []}
        return record
    detects = VARIANTS[run.variant].rewriter == "recot"
    detection = {"readable": 0.9, "none": 0.1, "concepts": 2.0, "taught": 0.25} if detects else {"taught": None}
    told = {"answers": 100 + run.seed, "answer_tokens": 5000, "training_seconds": 90.0}
    return record | told | {"detection": detection}


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that were performed, in their order."""
    done: list[Run] = []

    def perform(run: Run, out: Path, report: Callable[[str, int, int], None]) -> dict[str, Any]:
        assert out.is_absolute()
        done.append(run)
        work.training_folder(run, out).mkdir(parents=True)
        return made_up(run)

    monkeypatch.setattr(work, "perform", perform)
    return done


def cells(printed: str) -> list[dict[str, str]]:
    """The lines of a table by their heads."""
    head, *rest = (
        [cell.strip() for cell in line[1:-1].split("|")]
        for line in printed.splitlines()
        if line.startswith("| ") and "---" not in line
    )
    return [dict(zip(head, line, strict=True)) for line in rest]


def test_all_runs_are_made_once_whatever_stops_them(
    ablations: ModuleType, performed: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    perform = work.perform

    def killed(run: Run, out: Path, report: Any) -> dict[str, Any]:
        if len(performed) == 3:
            raise KeyboardInterrupt
        return perform(run, out, report)

    monkeypatch.setattr(work, "perform", killed)
    monkeypatch.chdir(tmp_path.parent)
    assert ablations.main(["--out", tmp_path.name]) == 130
    monkeypatch.setattr(work, "perform", perform)
    assert ablations.main(["--out", str(tmp_path)]) == 0
    assert sorted(performed, key=str) == sorted(plan(), key=str)
    assert len(performed) == len(TASKS) * (1 + 3 * len(VARIANTS))
    assert not any((tmp_path / "trainings").iterdir())
    printed = capsys.readouterr().out
    assert (tmp_path / "ablations.md").read_text() == printed
    assert "so far" not in printed
    assert len(cells(printed)) == len(TASKS) * (1 + len(VARIANTS))


def test_what_waits_for_data_is_done_when_they_are_there(
    ablations: ModuleType, performed: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform, refused = work.perform, []

    def busy(run: Run, out: Path, report: Any) -> dict[str, Any]:
        if run.trained and run.seed == 1 and run not in refused:
            refused.append(run)
            raise files.Busy("another process is building data here")
        return perform(run, out, report)

    monkeypatch.setattr(work, "perform", busy)
    taken = Run("cirr", WHOLE, 2)
    with files.alone(tmp_path / "running" / work.key(taken), "studying"):
        ablations.run_all(tmp_path)
    assert {*performed} == {*plan()} - {taken}
    assert {*performed[-len(refused) :]} == {*refused}


def test_the_table_says_what_the_records_hold(
    ablations: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablations.main(["--out", str(tmp_path), "--draw"]) == 0
    assert capsys.readouterr().out == ""
    (tmp_path).mkdir(exist_ok=True)
    chosen = [run for run in plan() if run.task == "cirr" and run != Run("cirr", WHOLE, 2)]
    records = {run: made_up(run) for run in chosen}
    for record in records.values():
        kept.append(tmp_path, record)
    assert ablations.main(["--out", str(tmp_path), "--draw"]) == 0
    printed = capsys.readouterr().out
    assert "(14 of 30 trainings so far)" in printed
    frozen, whole, plain, *_ = lines = cells(printed)
    assert [line["variant"] for line in lines] == [FROZEN, *VARIANTS]
    assert [line["seeds"] for line in lines] == ["", "2", "3", "3", "3", "3"]

    def tests(variant: str) -> list[dict[str, Any]]:
        return [record["test"]["cirr"]["greedy"] for run, record in records.items() if run.variant == variant]

    def found(variant: str) -> Any:
        return np.mean([np.array(test["ranks"]) <= 10 for test in tests(variant)], axis=0)

    values = np.array([test["R@10"] for test in tests("without ReCoT")])
    start = tests(FROZEN)[0]["R@10"]
    assert frozen["R@10"] == f"{100 * start:.1f}"
    assert plain["R@10"] == f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"
    assert plain["Δ to llm"].startswith(f"{100 * (values.mean() - start):+.1f} ±")
    by_seed = values[:2] - np.array([test["R@10"] for test in tests(WHOLE)])
    assert plain["Δ to RAQO"] == f"{100 * by_seed.mean():+.1f} ± {100 * by_seed.std(ddof=1):.1f}"
    raw = [paired_p(found(variant) - found(WHOLE), CLUSTERS) for variant in [*VARIANTS][1:]]
    shown = ["< 0.0001" if p < 0.0001 else f"{p:.4f}" for p in holm(raw)]
    assert [line["p to it"] for line in lines[2:]] == shown
    assert whole["Δ to RAQO"] == whole["p to it"] == frozen["Δ to llm"] == frozen["p"] == ""
    assert (whole["detected"], whole["as taught"]) == ("90.0 ± 0.0", "25.0 ± 0.0")
    assert plain["detected"] == plain["as taught"] == frozen["minutes"] == ""
    assert (plain["answers"], plain["minutes"]) == ("101 ± 1", "1.5")
