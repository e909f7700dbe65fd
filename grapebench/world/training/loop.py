"""A small resumable training loop: AdamW, warm-up and cosine, checkpoints as safetensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grapebench.files import atomic_file

if TYPE_CHECKING:
    import torch

Report = Callable[[str, int, int], None]
"""Called with what is being trained, how many steps are done, and how many there are."""


@dataclass(frozen=True)
class Schedule:
    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.05
    clip: float = 1.0
    save_every: int = 20


def fit(
    model: torch.nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    schedule: Schedule,
    folder: Path,
    report: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Train `model` in place; `loss_at(step)` depends on the step alone, so that a stopped training goes on exactly.

    `folder/training.safetensors` holds weights, optimiser state and the step; it is replaced every `save_every` steps.
    `report` is called with the steps that are done and all there are.
    """
    import math

    import torch

    optimiser = torch.optim.AdamW(
        model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, betas=(0.9, 0.98)
    )
    checkpoint = folder / "training.safetensors"
    start = _restore(model, optimiser, checkpoint) if checkpoint.exists() else 0
    model.train()
    report(start, schedule.steps)
    for step in range(start, schedule.steps):
        fraction = step / schedule.steps
        rate = min(1.0, (step + 1) / schedule.warmup) * 0.5 * (1 + math.cos(math.pi * fraction))
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate * max(rate, 0.01)
        loss = loss_at(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimiser.step()
        report(step + 1, schedule.steps)
        if (step + 1) % schedule.save_every == 0:
            _save(model, optimiser, step + 1, checkpoint)
    model.eval()


def _save(model: torch.nn.Module, optimiser: torch.optim.Optimizer, step: int, path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {f"model/{name}": value for name, value in model.named_parameters()}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state[parameter].items():
            tensors[f"optimiser/{key}/{name}"] = value
    with atomic_file(path) as temporary:
        save_file(
            {name: value.detach().contiguous() for name, value in tensors.items()}, temporary, {"step": str(step)}
        )


def _restore(model: torch.nn.Module, optimiser: torch.optim.Optimizer, path: Path) -> int:
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file, torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(file.get_tensor(f"model/{name}"))
            optimiser.state[parameter] = {
                key: file.get_tensor(f"optimiser/{key}/{name}") for key in ("step", "exp_avg", "exp_avg_sq")
            }
        return int(file.metadata()["step"])
