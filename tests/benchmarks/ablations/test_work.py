"""What the runs of the ablations share, and one of them from data to record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ablations import plan, work
from ablations.plan import SEEDS, VARIANTS, WHOLE, Run

from grapebench.training.raqo import parts
from grapebench.training.raqo.config import STAGES, RaqoConfig, fill
from grapebench.training.raqo.material import find


def quiet(stage: str, done: int, total: int) -> None:
    pass


def test_keys_tell_all_runs_apart_and_hold_models_and_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = plan.plan()
    keys = [work.key(run) for run in runs]
    assert len({*keys}) == len(runs) == 32
    prompts = work._prompts
    monkeypatch.setattr(work, "_prompts", lambda card: {"detect": "another"} if card == "recot" else prompts(card))
    changed = {run.variant for run, before in zip(runs, keys, strict=True) if work.key(run) != before}
    assert changed == {name for name, variant in VARIANTS.items() if variant.rewriter == "recot"}
    monkeypatch.setattr(work, "weights", lambda: ["another model"])
    assert all(work.key(run) != before for run, before in zip(runs, keys, strict=True))


def test_a_key_holds_defaults_of_the_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, frozen = Run("cirr", WHOLE), Run("cirr")
    before = work.key(trained), work.key(frozen)
    dump = RaqoConfig.model_dump

    def changed(config: RaqoConfig, **given: Any) -> dict[str, Any]:
        told = dump(config, **given)
        assert told["pro"]["learning_rate"] > 0 and told["data"]["keep_facts"] > 0
        return told | {"pro": told["pro"] | {"learning_rate": 1e-9}}

    monkeypatch.setattr(RaqoConfig, "model_dump", changed)
    assert work.key(trained) != before[0]
    assert work.key(frozen) == before[1]


def test_variants_of_a_task_and_a_seed_learn_from_the_same_data() -> None:
    made = []
    for seed in SEEDS[:2]:
        for variant, told in VARIANTS.items():
            config = fill(Run("flickr30k-cn", variant, seed).settings)
            assert config.stages == told.stages
            material = find(config, None)
            made.append(parts.record(parts.find(config, material), material))
    assert all(one == made[0] for one in made[: len(VARIANTS)])
    assert all(one == made[-1] for one in made[len(VARIANTS) :])
    assert made[0] != made[-1]
    folders = {work.data_folder(run, Path("out")) for run in plan.plan() if run.trained}
    assert len(folders) == len(plan.TASKS) * len(SEEDS)


def test_answers_are_those_that_were_asked_for() -> None:
    rounds = [{"queries": 30, "completion_tokens": 900, "seconds": 1.04}] * 2
    card = {"rounds": rounds, "sets": {"ccr": {"rows": 4, "none": 1}}}
    told = {"answers": 2 * 30 * plan.DATA["samples"], "answer_tokens": 1800, "answer_seconds": 2.1}  # type: ignore[operator]
    assert work.data_figures(card) == told | {"rows": {"ccr": 4}}


@pytest.mark.slow
def test_two_variants_from_one_set_of_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = {"epochs": 1, "batch": 4, "warmup": 1}
    small: dict[str, Any] = {"val_queries": 8, **dict.fromkeys(STAGES, fit)}
    data = plan.DATA | {"queries": 40, "rounds": 1, "samples": 4}
    monkeypatch.setattr(plan, "SETTINGS", small | {"data": data})
    monkeypatch.setattr(work, "DATA", data)
    monkeypatch.setattr(work, "TEST_QUERIES", 20)
    run = Run("flickr30k-cn", WHOLE)
    found = work.perform(run, tmp_path, quiet)
    card = work.data_folder(run, tmp_path) / "card.json"
    before = card.stat().st_mtime_ns
    other = work.perform(replace(run, variant="without ReCoT"), tmp_path, quiet)
    assert card.stat().st_mtime_ns == before
    told = json.loads(card.read_text())
    assert found["rows"] == other["rows"] == {name: some["rows"] for name, some in told["sets"].items()}
    assert found["answers"] == other["answers"] == 4 * told["ambiguity"]["ambiguous"]
    assert list(found["val"]) == ["start", "ccd", "qre", "pro"] and list(other["val"]) == ["start", "qre", "pro"]
    assert set(found["detection"]) == {"readable", "none", "concepts", "taught"}
    assert other["detection"] == {"taught": None}
    for one in (found, other):
        assert len(one["test"]["flickr30k-cn"]["greedy"]["ranks"]) == 20
        assert one["training_seconds"] > 0
        assert one["steps_made"]["qre"] > 0
    frozen = work.perform(Run("flickr30k-cn"), tmp_path, quiet)
    assert len(frozen["test"]["flickr30k-cn"]["clusters"]) == 20
