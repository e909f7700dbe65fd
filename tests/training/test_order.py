from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.training.order import WINDOW, mixture, order, turns


@given(count=st.integers(4, 90), batch=st.integers(1, 4), steps=st.integers(1, 60), seed=st.integers(0, 5))
def test_every_query_once_before_any_again(count: int, batch: int, steps: int, seed: int) -> None:
    found = order([7] * count, steps, batch, seed)
    assert found.shape == (steps, batch)
    whole = count // batch
    for start in range(0, steps, whole):
        rows = found[start : start + whole].ravel().tolist()
        assert len(set(rows)) == len(rows) and set(rows) <= set(range(count))


@given(steps=st.integers(1, 40), more=st.integers(1, 40), seed=st.integers(0, 5))
def test_a_step_depends_on_the_seed_and_its_number_alone(steps: int, more: int, seed: int) -> None:
    lengths = [(place * 7) % 11 for place in range(30)]
    assert (order(lengths, steps + more, 3, seed)[:steps] == order(lengths, steps, 3, seed)).all()


def test_seeds_differ_and_lengths_are_alike() -> None:
    lengths = np.random.default_rng(0).integers(10, 500, 16 * WINDOW)
    found = order(lengths.tolist(), WINDOW, 16, 0)
    assert (found != order(lengths.tolist(), WINDOW, 16, 1)).any()
    assert np.ptp(lengths[found], axis=1).mean() < 60
    # What is long does not come first or last.
    assert abs(np.corrcoef(np.arange(WINDOW), lengths[found].mean(axis=1))[0, 1]) < 0.8


def test_too_few_queries() -> None:
    with pytest.raises(UserError, match="a step asks 16 queries, and there are 3; set a smaller batch"):
        order([1, 2, 3], 5, 16, 0)
    with pytest.raises(UserError, match="a step asks 4 queries, and there are 3 of cvlue; set a smaller batch"):
        mixture({"cirr": range(20), "cvlue": [1, 2, 3]}, 5, 4, 0)


@given(tasks=st.integers(1, 6), steps=st.integers(1, 40), more=st.integers(0, 20), seed=st.integers(0, 5))
def test_tasks_take_turns(tasks: int, steps: int, more: int, seed: int) -> None:
    found = turns(tasks, steps, seed)
    assert found.shape == (steps,)
    for start in range(0, steps - tasks + 1, tasks):
        assert sorted(found[start : start + tasks]) == list(range(tasks))
    assert (turns(tasks, steps + more, seed)[:steps] == found).all()


def test_turns_have_no_pattern() -> None:
    found = turns(2, 200, 0).reshape(-1, 2)
    assert 30 < (found[:, 0] == 0).sum() < 70
    assert (turns(2, 200, 1).reshape(-1, 2) != found).any()


@given(
    counts=st.lists(st.integers(3, 30), min_size=1, max_size=4), steps=st.integers(1, 30), more=st.integers(0, 20),
    seed=st.integers(0, 5),
)  # fmt: skip
def test_a_mixture_is_of_each_tasks_own_order(counts: list[int], steps: int, more: int, seed: int) -> None:
    lengths = {f"task {number}": [(place * 7) % 11 for place in range(count)] for number, count in enumerate(counts)}
    found, turn = mixture(lengths, steps, 3, seed), turns(len(counts), steps, seed)
    starts = np.cumsum([0, *counts])
    for number, some in enumerate(lengths.values()):
        own = found[turn == number] - starts[number]
        assert (own == order(some, len(own), 3, seed)).all()
    assert (mixture(lengths, steps + more, 3, seed)[:steps] == found).all()


def test_a_mixture_of_one_is_its_order() -> None:
    lengths = [(place * 7) % 11 for place in range(30)]
    assert (mixture({"": lengths}, 25, 4, 3) == order(lengths, 25, 4, 3)).all()
