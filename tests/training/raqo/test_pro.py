"""The losses of ranked lists, beside a plain reading of their formulas."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from grapebench.training.raqo import pro

FORMS = [pro.raqo, pro.original]


def raqo_reference(s: list[float], r: list[float]) -> float:
    """RAQO, equation 3; a temperature of infinity is that of equal rewards."""
    total = 0.0
    for j in range(len(s) - 1):
        tau = min(1 / (r[j] - r[i]) if r[j] > r[i] else math.inf for i in range(j + 1, len(s)))
        total -= math.log(math.exp(s[j] / tau) / sum(math.exp(s[i] / tau) for i in range(j, len(s))))
    return total


def original_reference(s: list[float], r: list[float]) -> float:
    """Song et al. (2024), their loss with temperatures."""
    total = 0.0
    for k in range(len(s) - 1):
        temperature = {i: 1 / (r[k] - r[i]) if r[k] > r[i] else math.inf for i in range(k + 1, len(s))}
        temperature[k] = min(temperature.values())
        below = sum(math.exp(s[i] / temperature[i]) for i in range(k, len(s)))
        total -= math.log(math.exp(s[k] / temperature[k]) / below)
    return total


REFERENCES = {pro.raqo: raqo_reference, pro.original: original_reference}


@st.composite
def ranked(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    """Scores and descending rewards of a list, some of them equal."""
    count = draw(st.integers(2, 6))
    scores = draw(st.lists(st.floats(-6, 0), min_size=count, max_size=count))
    rewards = draw(st.lists(st.sampled_from([0.1, 0.25, 0.3, 0.9, 2.0]), min_size=count, max_size=count))
    return scores, sorted(rewards, reverse=True)


lists = st.lists(ranked(), min_size=1, max_size=4)


def tensors(some: list[tuple[list[float], list[float]]], padding: float = 0.0) -> Any:
    import torch

    width = max(len(scores) for scores, _ in some)
    padded = [
        [[*row, *[padding] * (width - len(row))] for row in (scores, rewards)] + [len(scores)]
        for scores, rewards in some
    ]
    there = torch.arange(width) < torch.tensor([count for *_, count in padded])[:, None]
    numbers = [torch.tensor([one[place] for one in padded], dtype=torch.float64) for place in (0, 1)]
    return numbers[0].requires_grad_(), numbers[1], there


@pytest.mark.parametrize("form", FORMS)
@given(some=lists)
def test_losses_are_those_of_the_formulas(form: Any, some: list[tuple[list[float], list[float]]]) -> None:
    scores, rewards, there = tensors(some)
    found = form(scores, rewards, there)
    reference = [REFERENCES[form](s, r) for s, r in some]
    np.testing.assert_allclose(found.detach().numpy(), reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@given(some=lists)
def test_gradients_are_those_of_the_formulas(form: Any, some: list[tuple[list[float], list[float]]]) -> None:
    scores, rewards, there = tensors(some)
    form(scores, rewards, there).sum().backward()
    step = 1e-5
    for row, (s, r) in enumerate(some):
        for place in range(len(s)):
            higher, lower = ([*s[:place], s[place] + way, *s[place + 1 :]] for way in (step, -step))
            slope = (REFERENCES[form](higher, r) - REFERENCES[form](lower, r)) / (2 * step)
            assert float(scores.grad[row, place]) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_by_gradcheck(form: Any) -> None:
    import torch

    some = [([-1.0, -2.5, -0.3, -4.0], [0.9, 0.5, 0.5, 0.1]), ([-2.0, -1.0], [0.4, 0.1]), ([-1.0] * 3, [0.2] * 3)]
    scores, rewards, there = tensors(some)
    assert torch.autograd.gradcheck(lambda s: form(s, rewards, there), scores)


@pytest.mark.parametrize("form", FORMS)
@given(some=lists, padding=st.floats(-1e6, 1e6))
def test_what_is_not_there_counts_for_nothing(
    form: Any, some: list[tuple[list[float], list[float]]], padding: float
) -> None:
    import torch

    scores, rewards, there = tensors(some)
    filled, other, _ = tensors(some, padding)
    one, two = form(scores, rewards, there), form(filled, other, there)
    assert torch.equal(one, two)
    two.sum().backward()
    assert torch.isfinite(filled.grad).all() and not filled.grad[~there].any()


@pytest.mark.parametrize("form", FORMS)
@given(some=lists, shift=st.floats(-3, 3))
def test_only_differences_of_rewards_count(
    form: Any, some: list[tuple[list[float], list[float]]], shift: float
) -> None:
    scores, rewards, there = tensors(some)
    one, two = (form(scores, rewards + by, there).detach() for by in (0.0, shift))
    np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-7, atol=1e-9)


@given(one=ranked(), shift=st.floats(-3, 3))
def test_only_differences_of_scores_count_in_raqos(one: tuple[list[float], list[float]], shift: float) -> None:
    # The published form gives answers temperatures of their own, so that there it is otherwise.
    scores, rewards, there = tensors([one])
    np.testing.assert_allclose(
        pro.raqo(scores, rewards, there).item(), pro.raqo(scores + shift, rewards, there).item(), rtol=1e-7, atol=1e-9
    )


@given(one=ranked(), order=st.randoms(use_true_random=False))
def test_answers_of_equal_reward_may_change_places_below_the_rest(
    one: tuple[list[float], list[float]], order: Any
) -> None:
    """Where all but the first have the same reward, their order says nothing."""
    scores, rewards = one
    equal = [rewards[0] + 1, *[rewards[-1]] * (len(rewards) - 1)]
    rest = scores[1:]
    order.shuffle(rest)
    for form in FORMS:
        before, after = (tensors([(some, equal)]) for some in (scores, [scores[0], *rest]))
        np.testing.assert_allclose(form(*before).item(), form(*after).item(), rtol=1e-9)


@pytest.mark.parametrize("form", FORMS)
@given(one=ranked())
def test_equal_rewards_teach_nothing(form: Any, one: tuple[list[float], list[float]]) -> None:
    scores, rewards, there = tensors([(one[0], [0.5] * len(one[1]))])
    loss = form(scores, rewards, there)
    loss.sum().backward()
    assert loss.item() == pytest.approx(math.lgamma(len(one[0]) + 1))
    assert not scores.grad.any()


@pytest.mark.parametrize("form", FORMS)
@given(some=lists)
def test_equal_rewards_are_the_limit_of_close_ones(form: Any, some: list[tuple[list[float], list[float]]]) -> None:
    import torch

    scores, rewards, there = tensors(some)
    apart = rewards - 1e-9 * torch.arange(rewards.shape[1])
    one, two = form(scores, rewards, there).detach(), form(scores, apart, there).detach()
    np.testing.assert_allclose(one.numpy(), two.numpy(), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_two_answers_are_bradley_and_terrys(form: Any) -> None:
    scores, rewards, there = tensors([([-1.0, -3.0], [0.7, 0.2])])
    assert form(scores, rewards, there).item() == pytest.approx(math.log1p(math.exp(-2.0 * 0.5)))


@pytest.mark.parametrize("form", FORMS)
def test_it_falls_as_scores_come_into_the_order_of_rewards(form: Any) -> None:
    rewards = [0.9, 0.6, 0.3]
    losses = [form(*tensors([(s, rewards)])).item() for s in ([-3, -2, -1], [-1, -3, -2], [-1, -2, -3], [-1, -9, -99])]
    assert losses == sorted(losses, reverse=True)


def test_the_supervised_term() -> None:
    import torch

    there = torch.tensor([[True] * 5, [True, True, False, False, False]])
    found = pro.supervised(torch.tensor([-4.0, -3.0]), there, 0.05)
    torch.testing.assert_close(found, torch.tensor([0.05 * 16 * 4.0, 0.05 * 3.0]))
