"""The figures of trainings in docs are what the records that are kept of them come to."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest
from ablations import plan as ablation_plan
from ablations import work as ablation_work
from study import geometry, kept, latency, plan, work

DOCS = Path(__file__).parents[2] / "docs"
STUDY, ABLATIONS = DOCS / "study", DOCS / "ablations"


def copied(names: list[str], source: Path, to: Path) -> Path:
    for name in names:
        shutil.copy(source / name, to)
    return to


def test_every_planned_training_is_kept_and_no_other() -> None:
    """A key holds the settings and the models' weights: of other weights the study would have to be made again."""
    planned = {work.key(run) for part in plan.plan().values() for run in part.runs()}
    assert set(kept.read(STUDY)) == planned
    assert set(kept.read(ABLATIONS)) == {ablation_work.key(run) for run in ablation_plan.plan()}


@pytest.mark.slow
def test_the_study_is_drawn_from_what_is_kept(study: ModuleType, tmp_path: Path) -> None:
    there = copied([kept.RUNS, latency.KEPT, geometry.KEPT], STUDY, tmp_path)
    study.draw(plan.plan(), there)
    assert (there / "tables.md").read_text(encoding="utf-8") == (STUDY / "tables.md").read_text(encoding="utf-8")
    assert {path.name for path in there.glob("*.png")} == {path.name for path in STUDY.glob("*.png")}


def test_the_ablations_are_drawn_from_what_is_kept(ablations: ModuleType, tmp_path: Path) -> None:
    there = copied([kept.RUNS], ABLATIONS, tmp_path)
    assert ablations.draw(there) == (ABLATIONS / "ablations.md").read_text(encoding="utf-8")


def test_the_shipped_trainings_are_told_as_they_are(trained: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert trained.main([]) == 0
    assert capsys.readouterr().out in (DOCS / "raqo.md").read_text(encoding="utf-8")
