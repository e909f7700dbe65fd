"""What a reward may return, and what is said of anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from grapebench.errors import UserError
from grapebench.rewards.values import checked


@pytest.mark.parametrize(
    "value",
    [
        [1, 2.5, -3],
        (1.0, 2.5, -3.0),
        np.array([1, 2.5, -3], np.float32),
        torch.tensor([1, 2.5, -3]),
        torch.tensor([1, 2.5, -3], dtype=torch.bfloat16, requires_grad=True),
    ],
)
def test_numbers_are_taken(value: Any) -> None:
    found = checked("mine", value, 3)
    assert found.dtype == np.float64 and found.tolist() == [1, 2.5, -3]


def test_truth_values_are_numbers() -> None:
    assert checked("mine", [True, False], 2).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1, float("nan"), 2], "returned nan for rollout 2 of 3"),
        ([1, 2, float("inf")], "returned inf for rollout 3 of 3"),
        ([float("-inf"), 2, float("nan")], r"returned -inf for rollout 1 of 3 \(2 such values\)"),
        ([1e300, 0, 0], "returned 1e\\+300 for rollout 1"),
        (None, "returned None, and not numbers"),
        ([None, 1, 2], "returned a list of NoneType, int, and not numbers"),
        (7, "the single value 7 for 3 rollouts"),
        (np.float64(0.5), "the single value 0.5 for 3 rollouts"),
        ([1, 2], r"values of shape \(2,\) for 3 rollouts"),
        ([[1], [2], [3]], r"values of shape \(3, 1\) for 3 rollouts"),
        ([[1], [2, 3], []], "returned a list of list, and not numbers"),
        (["1", "2", "3"], "returned a list of str, and not numbers"),
        ("one", "returned a str of str, and not numbers"),
        ([1j, 2, 3], "and not numbers"),
        ([], r"values of shape \(0,\) for 3 rollouts"),
    ],
)
def test_anything_else_is_one_sentence(value: Any, told: str) -> None:
    with pytest.raises(UserError, match=f"^reward 'mine' .*{told}.*; return 3 finite numbers, one a rollout$"):
        checked("mine", value, 3)
