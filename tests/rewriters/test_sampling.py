from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grapebench.rewriters.sampling import SeededSampling, batch_draws, seed_of, uniforms


@given(st.integers(), st.text(st.characters(codec="utf-8"), max_size=8), st.integers(1, 20))
def test_a_longer_row_starts_with_the_shorter(seed: int, query: str, count: int) -> None:
    row = uniforms(seed, query, count + 5)
    assert (row[:count] == uniforms(seed, query, count)).all()
    assert ((row >= 0) & (row < 1)).all()


def test_the_numbers_never_change() -> None:
    """Pinned: stored answers depend on them."""
    assert uniforms(0, "q", 2).tolist() == pytest.approx([0.2749955662087785, 0.11988475305147117], abs=0)


def test_seeds_of_requests_belong_to_request_and_run() -> None:
    seeds = {seed_of(seed, key) for seed in range(5) for key in ("a", "b", "a#1")}
    assert len(seeds) == 15 and all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(0, "a") == seed_of(0, "a")


def chosen(logits: torch.Tensor, draws: np.ndarray, temperature: float = 1.0, top_p: float = 1.0) -> np.ndarray:
    rows = len(draws)
    scores = SeededSampling(draws, 4, temperature, top_p)(torch.zeros(rows, 4), logits.expand(rows, -1))
    assert (scores.isfinite().sum(-1) == 1).all()
    return scores.argmax(-1).numpy()


def test_frequencies_follow_the_distribution() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -torch.inf, 0.5])
    draws = batch_draws(1, [str(n) for n in range(20_000)], 1)
    for temperature in (0.5, 1.0, 3.0):
        found = np.bincount(chosen(logits, draws, temperature), minlength=5) / len(draws)
        assert found == pytest.approx((logits / temperature).softmax(-1).numpy(), abs=0.015)


def test_the_nucleus_keeps_the_most_likely() -> None:
    logits = torch.tensor([0.1, 0.2, 0.4, 0.3]).log()
    draws = batch_draws(2, [str(n) for n in range(20_000)], 1)
    found = np.bincount(chosen(logits, draws, top_p=0.6), minlength=4) / len(draws)
    assert found == pytest.approx([0, 0, 4 / 7, 3 / 7], abs=0.015)
    assert set(chosen(logits, draws, top_p=1e-6)) == {2}


@settings(max_examples=50)
@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30), st.sampled_from([0.0, 0.5, 1 - 2**-53]))
def test_extreme_draws_choose_a_possible_token(values: list[float], draw: float) -> None:
    logits = torch.tensor([-torch.inf, *values, -torch.inf])
    (token,) = chosen(logits, np.array([[draw]]), top_p=0.9)
    assert logits[token].isfinite()


def test_a_step_uses_its_own_number() -> None:
    draws = np.array([[0.1, 0.9]])
    sampling = SeededSampling(draws, 4, 1.0, 1.0)
    logits = torch.zeros(1, 10)
    assert sampling(torch.zeros(1, 4), logits).argmax() == 1
    assert sampling(torch.zeros(1, 5), logits).argmax() == 9
