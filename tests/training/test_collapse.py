from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from grapebench.training import journal
from grapebench.training.collapse import Bounds, Watch
from grapebench.training.journal import Entry, Stop
from tests.training.logs import Course, entries, step_at, val_at

HEALTHY = Course()


def first(log: Iterable[Entry], bounds: Bounds | None = None, queries: int = 500) -> tuple[int, str] | None:
    """The step at which a training is stopped, and why."""
    watch = Watch(queries, bounds)
    for entry in log:
        if reason := watch.see(entry):
            return entry.step, reason
    return None


def steps(name: str, values: Sequence[float | None]) -> list[Entry]:
    return [step_at(n, HEALTHY).model_copy(update={name: value}) for n, value in enumerate(values, start=1)]


def vals(recalls: Sequence[float | None]) -> list[Entry]:
    return [val_at(20 * n, HEALTHY).model_copy(update={"recall_10": value}) for n, value in enumerate(recalls)]


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(20, 300))
def test_a_healthy_run_is_never_stopped(seed: int, length: int) -> None:
    assert first(entries(Course(steps=length, every=5, seed=seed))) is None


def test_noise_stops_next_to_nothing_and_a_fall_is_noticed() -> None:
    """Each validation on other queries: more noise than there is when they are always the same."""
    noise = np.random.default_rng(0)
    still, fallen = np.full(30, 0.5), np.r_[np.full(15, 0.5), np.full(15, 0.35)]

    def stopped(truth: np.ndarray) -> float:
        runs = noise.binomial(500, truth, size=(300, len(truth))) / 500
        return float(np.mean([first(vals(run.tolist())) is not None for run in runs]))

    assert stopped(still) <= 0.01
    assert stopped(fallen) >= 0.97


@pytest.mark.parametrize(
    ("name", "told"), [("flat_groups", "spread is gone"), ("repetition", "repeat"), ("unusable", "without a rewrite")]
)
@settings(max_examples=40)
@given(data=st.data())
def test_what_stays_over_its_bound_stops_the_run_in_time(name: str, told: str, data: st.DataObject) -> None:
    over = st.floats(0.95, 1.0)
    under = st.none() | st.floats(0, 0.29)
    limit = data.draw(st.integers(1, 6))
    # As long as a stretch over the bound is shorter than the limit, nothing happens.
    short = data.draw(st.lists(st.tuples(st.lists(over, max_size=limit - 1), under), max_size=4))
    before = [value for stretch, rest in short for value in (*stretch, rest)]
    stretch = data.draw(st.lists(over, min_size=limit, max_size=limit))
    bounds = Bounds(steps=limit)
    assert first(steps(name, before), bounds) is None
    found = first(steps(name, [*before, *stretch, 0.0]), bounds)
    assert found is not None
    step, reason = found
    assert step == len(before) + limit
    assert reason.startswith("collapse: ") and told in reason and f"for {limit} steps running" in reason


@given(st.floats(0.3, 1), st.integers(50, 2000), st.integers(1, 4), st.data())
def test_recall_that_stays_lost_stops_the_run(best: float, queries: int, limit: int, data: st.DataObject) -> None:
    lost = st.floats(0, 0.02)
    near = st.none() | st.just(best)
    short = data.draw(st.lists(st.tuples(st.lists(lost, max_size=limit - 1), near), max_size=4))
    before = [best, *(value for stretch, rest in short for value in (*stretch, rest))]
    stretch = data.draw(st.lists(lost, min_size=limit, max_size=limit))
    bounds = Bounds(validations=limit)
    assert first(vals(before), bounds, queries) is None
    found = first(vals([*before, *stretch]), bounds, queries)
    assert found is not None and found[0] == 20 * (len(before) + limit - 1)
    assert f"from {best:.1%} at step 0" in found[1] and f"for {limit} validations running" in found[1]


def test_how_far_recall_may_fall_depends_on_how_many_queries_tell_it() -> None:
    fallen = vals([0.6, 0.5, 0.5, 0.5])
    # Two standard errors of the difference with 200 queries, four with 800.
    assert first(fallen, queries=200) is None
    assert first(fallen, queries=800) is not None
    # Nothing is certain of five queries, not even when all were right and none is.
    assert first(vals([1.0, 0.0, 0.0, 0.0]), queries=5) == (
        60,
        "collapse: val R@10 has fallen to 0.0% from 100.0% at step 0, by more than 3.5 standard errors for 3 "
        "validations running",
    )
    assert first(vals([1.0, 0.4, 0.4, 0.4]), queries=5) is None


def test_a_model_that_starts_badly_may_learn() -> None:
    bad = val_at(0, HEALTHY).model_copy(update={"unusable": 0.7, "repetition": 0.4})
    learning = [
        step_at(n, HEALTHY).model_copy(update={"unusable": 0.75 - n / 200, "repetition": 0.5 - n / 200})
        for n in range(1, 80)
    ]
    assert first(learning) is not None
    assert first([bad, *learning]) is None
    assert first([bad, *steps("unusable", [0.9] * 20)]) is not None
    assert first([bad, *steps("repetition", [0.9] * 20)]) is not None


@pytest.mark.parametrize(
    ("course", "step", "told"),
    [
        (Course(flat_from=50), 69, "collapse: the rewards' spread is gone: at least 95% of the groups flat, at a mean"),
        (Course(salad_from=50), 69, "collapse: rewrites repeat themselves: "),
        (Course(unusable_from=50), 69, "collapse: outputs without a rewrite: "),
        (Course(inflated=True, steps=200), 200, "collapse: val R@10 has fallen to "),
    ],
)
def test_each_failure_stops_with_its_reason(course: Course, step: int, told: str) -> None:
    found = first(entries(course))
    assert found is not None and found[0] == step and found[1].startswith(told)


@settings(max_examples=25)
@given(st.data(), st.sampled_from([Course(flat_from=50), Course(salad_from=30), Course(inflated=True, steps=200)]))
def test_a_resumed_run_stops_where_the_whole_one_does(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, course: Course
) -> None:
    log = entries(course)
    expected = first(log)
    assert expected is not None
    folder = tmp_path_factory.mktemp("training")
    killed = data.draw(st.integers(0, expected[0]))
    checkpoint = data.draw(st.integers(0, killed))
    journal.append(folder, *(entry for entry in log if entry.step <= killed), Stop(step=killed, reason="collapse: x"))
    journal.truncate(folder, checkpoint)
    watch = Watch(500)
    said = [watch.see(entry) for entry in journal.read(folder)]
    said += [watch.see(entry) for entry in log if entry.step > checkpoint]
    reasons = [(entry.step, reason) for entry, reason in zip(log, said, strict=True) if reason]
    assert reasons[0] == expected


@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=8))
def test_the_best_is_the_earliest_of_the_highest(recalls: list[float | None]) -> None:
    watch, log = Watch(100), vals(recalls)
    for entry in log:
        watch.see(entry)
    known = [value for value in recalls if value is not None]
    if not known:
        assert watch.best is None or watch.best.recall_10 is None
    else:
        assert watch.best is log[recalls.index(max(known))]


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"validations": 0}, {"repetition": 1.5}, {"recall": 0.0}])
def test_bounds_that_make_no_sense_are_refused_in_a_config(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Bounds).validate_python(wrong)
    assert TypeAdapter(Bounds).validate_python({"steps": 5}) == replace(Bounds(), steps=5)


@pytest.mark.parametrize("away", [5.1, 300.0, None], ids=["above", "far above", "no number any more"])
def test_a_policy_that_runs_away_is_stopped(away: float | None) -> None:
    log = steps("kl", [0.1] * 5 + [away] * 25)
    step, told = first(log) or (0, "")
    assert step == 25 and told.startswith("collapse: the policy has run away: a KL of "), "after 20 steps running"
    assert first(steps("kl", [0.1] * 5 + [away] * 19 + [0.2] * 10)) is None


def test_it_is_warned_of_at_once_and_once() -> None:
    watch = Watch(500)
    told = []
    for entry in steps("kl", [0.1, 2.5, 5.2, 9.0, 0.1, 7.0]):
        watch.see(entry)
        told.append(watch.warning(entry))
    (said,) = [one for one in told if one]
    assert told.index(said) == 2
    assert said.startswith("the policy runs away: a KL of 5.2 at step 3, more than 5; a lower learning_rate")


def test_without_a_kl_term_there_is_none_to_watch() -> None:
    assert first(steps("kl", [None] * 40)) is None
