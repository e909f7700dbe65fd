"""The learning rate where none is named, and the first steps of a training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import Trainer

from grapebench.training import rates


def test_the_rate_suits_the_size() -> None:
    assert rates.learning_rate(1_000_000, full=False) == rates.learning_rate(1_000_000, full=True) == 3e-3
    assert rates.learning_rate(500_000_000, full=False) == 1e-5
    assert rates.learning_rate(500_000_000, full=True) == 1e-6


def test_parameters_are_counted_in_the_heads_of_files(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"c": torch.zeros(2, 2, 2)}, tmp_path / "model-00002-of-00002.safetensors")
    assert rates.parameters(tmp_path) == 12 + 5 + 8


def scheduled(warmup: int, steps: int, kind: type) -> list[float]:
    """The learning rate of each step, with a full rate of 1."""
    made: Any = object.__new__(type("Made", (rates.LearnsAtOnce, kind), {}))
    made.args = SimpleNamespace(
        get_warmup_steps=lambda total: warmup, lr_scheduler_type="cosine", lr_scheduler_kwargs={}
    )
    made.lr_scheduler, made._created_lr_scheduler = None, False
    made.optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = made.create_scheduler(steps, made.optimizer)
    found = []
    for _ in range(steps):
        found.append(made.optimizer.param_groups[0]["lr"])
        made.optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("warmup", [1, 2, 5])
def test_the_first_step_learns(warmup: int) -> None:
    told = scheduled(warmup, 20, Trainer)
    assert told[:warmup] == pytest.approx([k / warmup for k in range(1, warmup + 1)])
    assert all(one >= other for one, other in zip(told[warmup - 1 :], told[warmup:], strict=False)), "then it falls"
    assert 0 < told[-1] < 0.05


def test_without_a_warm_up_the_schedule_is_the_librarys() -> None:
    assert scheduled(0, 10, Trainer)[0] == 1
