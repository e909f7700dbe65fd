"""Attempts at one prompt share its computation, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grapebench.rewriters.engines.decoding import empty_cache
from grapebench.training import likelihood

PROMPTS = [[7, 8, 9, 10, 11], [12, 13], [7, 8, 9, 10, 11], [12, 13], [14]]
ANSWERS = [[20, 21, 2], [22, 2], [23, 24, 25], [2], [26, 27]]


@pytest.fixture
def model(tiny_lm: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_lm)


def batch(prompts: list[list[int]]) -> tuple[Any, Any]:
    import torch

    rows = list(zip(prompts, ANSWERS, strict=True))
    before, after = max(map(len, prompts)), max(map(len, ANSWERS))
    tokens = [[0] * (before - len(p)) + p + a + [0] * (after - len(a)) for p, a in rows]
    mask = [[0] * (before - len(p)) + [1] * len(p + a) + [0] * (after - len(a)) for p, a in rows]
    return torch.tensor(tokens), torch.tensor(mask)


def test_logits_and_gradients_are_those_of_each_row_alone(model: Any) -> None:
    import torch

    tokens, mask = batch(PROMPTS)
    cache = empty_cache(model)
    assert cache is not None
    found = likelihood.logits(model, cache, tokens, mask, 3)
    sum(found[row, : len(answer)].square().sum() for row, answer in enumerate(ANSWERS)).backward()  # type: ignore[union-attr]
    shared = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    model.zero_grad()
    for row, (prompt, answer) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
        alone = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        torch.testing.assert_close(found[row, : len(answer)].detach(), alone.detach(), rtol=1e-4, atol=1e-4)
        alone.square().sum().backward()
    for name, one in model.named_parameters():
        torch.testing.assert_close(shared[name], one.grad, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    ("prompts", "cached", "sizes"),
    [
        (PROMPTS, True, [(3, 4), (5, 4)]),
        (PROMPTS, False, [(5, 8)]),
        ([[3], [4], [3], [3], [4]], True, [(5, 4)]),
        ([[3, 9], [4, 9], [5, 9], [6, 9], [7, 9]], True, [(5, 5)]),
    ],
)
def test_each_prompt_is_computed_once(
    model: Any, prompts: list[list[int]], cached: bool, sizes: list[tuple[int, int]]
) -> None:
    seen = []
    model.register_forward_pre_hook(
        lambda _, args, options: seen.append(tuple(options["input_ids"].shape)), with_kwargs=True
    )
    tokens, mask = batch(prompts)
    assert likelihood.logits(model, empty_cache(model) if cached else None, tokens, mask, 3).shape[:2] == (5, 3)
    assert seen == sizes
