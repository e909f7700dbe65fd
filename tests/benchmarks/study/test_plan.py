"""The plan of the study: what is trained, and what parts share."""

from __future__ import annotations

import pytest
from study.plan import ATTEMPTS, MIXED, MORE_REWARDS, REWARD, REWARDS, SEEDS, STEPS, TASKS, TWO, Run, base, plan

from grapebench import registry
from grapebench.training.config import fill

RUNS = list(dict.fromkeys(run for part in plan().values() for run in part.runs()))


def test_rewards_are_compared_on_all_tasks_and_the_others_on_two() -> None:
    cells = {(cell.setting, cell.task): cell.runs for cell in plan()["rewards"].cells}
    assert set(cells) == {(r, t) for r in REWARDS for t in TASKS} | {(r, t) for r in MORE_REWARDS for t in TWO}
    for (reward, task), runs in cells.items():
        assert [run.seed for run in runs] == list(SEEDS)
        assert {(run.reward, run.task, run.steps) for run in runs} == {(reward, task, STEPS[task])}
    assert {*REWARDS, *MORE_REWARDS} == set(registry.names("rewards"))


@pytest.mark.parametrize("name", ["pool", "group", "kl", "data"])
def test_a_part_changes_one_thing_and_has_the_base_among_its_settings(name: str) -> None:
    part = plan()[name]
    for cell in part.cells:
        same = [base(cell.task, seed) for seed in SEEDS]
        assert (list(cell.runs) == same) == (cell.setting == part.control)
    assert {cell.task for cell in part.cells} == set(TWO)


def test_parts_share_what_is_the_same() -> None:
    parts = plan()
    rewards = set(parts["rewards"].runs())
    assert {run for run in parts["transfer"].runs() if run.task != MIXED} <= rewards
    assert set(parts["answers"].runs()) <= rewards
    plain = {run for run in parts["geometry"].runs() if not run.geometry}
    assert plain <= rewards


def test_the_frozen_models_come_first_and_are_there_for_each_test() -> None:
    for part in plan().values():
        runs = list(part.runs())
        trained = [run for run in runs if run.steps]
        frozen = runs[: len(runs) - len(trained)]
        assert not any(run.steps for run in frozen)
        tested = {(task, run.geometry) for run in trained for task in run.tested}
        assert {(run.task, run.geometry) for run in frozen} == tested


def test_the_trainer_takes_all_settings_and_every_step_has_as_many_attempts() -> None:
    for run in RUNS:
        if run.steps:
            config = fill(run.settings | {"task": run.tasks})
            assert config.batch * config.group == ATTEMPTS
            assert list(config.reward.ranks) == [run.reward]
            assert config.reward.form == "replace"
            assert (config.steps, config.pool, config.beta) == (run.steps, run.pool, run.beta)


def test_one_rewriter_for_all_tasks_stands_beside_those_of_one() -> None:
    *single, mixed = plan()["transfer"].cells
    assert {cell.task for cell in single} == set(TASKS)
    assert [run.seed for run in mixed.runs] == list(SEEDS)
    for run in mixed.runs:
        assert run.tasks == run.tested == TASKS
        assert run.steps == sum(cell.runs[0].steps for cell in single)


def test_the_unchanged_run_is_tested_on_all_tasks() -> None:
    run = base("cirr", 1)
    assert (run.reward, run.on) == (REWARD, tuple(task for task in TASKS if task != "cirr"))
    assert base("cirr", 1, beta=0.1) == Run("cirr", 1, STEPS["cirr"], beta=0.1)
