"""Broken rollouts take nothing from what the well-formed ones of their group differ by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.rewards.advantages import normalized, replaced

NONE = np.array([], np.intp)


@st.composite
def groups(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Rank-linear rewards of one group among N images, and the share of rules that each rollout breaks."""
    size, images = draw(st.integers(2, 16)), draw(st.integers(10, 1_000_000))
    ranks = draw(st.lists(st.integers(1, images), min_size=size, max_size=size))
    broken = draw(st.lists(st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0]), min_size=size, max_size=size))
    return images - np.array(ranks, np.float64), np.array(broken)


def taken_off(values: np.ndarray) -> np.ndarray:
    """As TRL does where it does not scale."""
    return values - values.mean()


@given(groups())
def test_the_well_formed_keep_their_spread(group: tuple[np.ndarray, np.ndarray]) -> None:
    reward, broken = group
    whole = broken == 0
    advantages = taken_off(normalized(reward, broken, NONE))
    assert advantages.sum() == pytest.approx(0, abs=1e-9 * max(1, np.abs(advantages).max()))
    if not whole.any():
        return
    alone = normalized(reward[whole], broken[whole], NONE)
    assert np.ptp(advantages[whole]) >= 0.9 * np.ptp(alone)
    assert advantages[whole].std() >= 0.9 * alone.std() - 1e-12
    if not whole.all():
        assert advantages[~whole].max() < advantages[whole].min(), "and broken ones are below all of them"
        assert replaced(reward, broken, NONE)[~whole].max() < reward[whole].min()
    assert (replaced(reward, broken, NONE)[whole] == reward[whole]).all()


@given(groups())
def test_without_broken_ones_it_is_the_advantage_of_grpo(group: tuple[np.ndarray, np.ndarray]) -> None:
    import torch

    reward, _ = group
    rewards = torch.tensor(reward)
    expected = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    assert taken_off(normalized(reward, np.zeros(len(reward)), NONE)) == pytest.approx(expected.numpy(), abs=1e-6)


@given(groups())
def test_where_all_are_broken_the_rules_alone_count(group: tuple[np.ndarray, np.ndarray]) -> None:
    reward, broken = group
    broken = np.where(broken == 0, 0.1, broken)
    assert (np.argsort(replaced(reward, broken, NONE), kind="stable") == np.argsort(-broken, kind="stable")).all()
    advantages = normalized(reward, broken, NONE)
    if np.ptp(broken) == 0:
        assert advantages == pytest.approx(0, abs=1e-9)
    else:
        assert np.corrcoef(advantages, -broken)[0, 1] == pytest.approx(1)


def test_one_broken_answer_among_eight() -> None:
    """What it cost before: with N = 1,500 a broken one's 0 made the other seven differ by 0.04 and not by 1.80."""
    reward = np.array([1499.0, 1490, 1480, 1470, 1460, 1450, 1440, 0])
    broken = np.array([0.0] * 7 + [0.5])
    told = normalized(reward, broken, NONE)
    assert np.ptp(told[:7]) == pytest.approx(np.ptp(reward[:7]) / reward[:7].std(ddof=1), rel=1e-3)
    assert told[7] == pytest.approx(told[:7].min() - 1.5)


def test_groups_are_apart() -> None:
    reward, broken = np.array([5.0, 3, 100, 90, 7, 7]), np.array([0, 0, 0, 0.5, 0.5, 0.5])
    starts = np.array([2, 4])
    for function in (replaced, normalized):
        each = [function(reward[s], broken[s], NONE) for s in (slice(0, 2), slice(2, 4), slice(4, 6))]
        assert (function(reward, broken, starts) == np.concatenate(each)).all()
