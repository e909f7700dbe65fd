from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import TrainerState

from grapebench.training import checkpoint


def _training(seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.01)
    return model, optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 / (1 + step))


def _step(model: torch.nn.Module, optimiser: torch.optim.Optimizer, schedule: object, number: int) -> None:
    data = torch.randn(5, 3, generator=torch.Generator().manual_seed(number))
    optimiser.zero_grad()
    model(data).square().sum().backward()
    optimiser.step()
    schedule.step()  # type: ignore[attr-defined]


def test_a_training_goes_on_exactly(tmp_path: Path) -> None:
    model, optimiser, schedule = _training(0)
    for number in range(3):
        _step(model, optimiser, schedule, number)
    state = TrainerState(global_step=3, log_history=[{"loss": 1.0}] * 9)
    checkpoint.write(tmp_path, state, lambda folder: None, optimiser, schedule)
    weights = {name: value.clone() for name, value in model.state_dict().items()}

    again, other, its = _training(1)
    again.load_state_dict(weights)
    checkpoint.restore(checkpoint.path_of(tmp_path, 3), other, its)
    for number in range(3, 6):
        _step(model, optimiser, schedule, number)
        _step(again, other, its, number)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))
    assert its.get_last_lr() == schedule.get_last_lr()
    stored = json.loads((checkpoint.path_of(tmp_path, 3) / "trainer_state.json").read_text())
    assert stored["global_step"] == 3 and stored["log_history"] == []
    assert {path.suffix for path in checkpoint.path_of(tmp_path, 3).iterdir()} == {".json", ".safetensors"}


def test_the_last_and_the_best_are_kept(tmp_path: Path) -> None:
    _, optimiser, schedule = _training(0)
    for step in range(0, 60, 10):
        checkpoint.write(tmp_path, TrainerState(global_step=step), lambda folder: None, optimiser, schedule)
        checkpoint.name_best(tmp_path, min(step, 20), 0.5)
        checkpoint.prune(tmp_path, min(step, 20))
    assert checkpoint.steps(tmp_path) == [20, 40, 50]
    named = json.loads((tmp_path / "checkpoints" / "best.json").read_text())
    assert named == {"step": 20, "R@10": 0.5, "folder": "step-000020"}


def test_what_was_not_finished_is_no_checkpoint(tmp_path: Path) -> None:
    _, optimiser, schedule = _training(0)
    checkpoint.write(tmp_path, TrainerState(global_step=5), lambda folder: None, optimiser, schedule)
    half = tmp_path / "checkpoints" / ".step-000010.x.part"
    half.mkdir()
    assert checkpoint.steps(tmp_path) == [5]
    checkpoint.sweep(tmp_path)
    assert not half.exists() and checkpoint.steps(tmp_path) == [5]
