from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.training.order import WINDOW, order


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
