from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.world.training import build
from grapebench.world.training.loop import Schedule, fit


class _Stop(Exception):
    pass


def _train(folder: Path, stop_at: int | None = None) -> list[float]:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)

    def loss_at(step: int) -> torch.Tensor:
        if step == stop_at:
            raise _Stop
        inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        return ((model(inputs) - inputs.sum(1, keepdim=True)) ** 2).mean()

    fit(model, loss_at, Schedule(steps=30, learning_rate=0.05, warmup=3, save_every=5), folder, "test")
    return [float(value) for parameter in model.parameters() for value in parameter.detach().flatten()]


@pytest.mark.parametrize("stop_at", [1, 7, 20, 29])
def test_a_stopped_training_ends_where_an_unbroken_one_does(tmp_path: Path, stop_at: int) -> None:
    with pytest.raises(_Stop):
        _train(tmp_path / "broken", stop_at)
    assert _train(tmp_path / "broken") == _train(tmp_path / "whole")


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mini-clip, mini-lm"):
        build(["mini-vlm"], tmp_path)
