"""A small resumable training loop: AdamW, warm-up and cosine, checkpoints as safetensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grapebench.files import atomic_file

if TYPE_CHECKING:
    import torch

Report = Callable[[str, int, int], None]
"""Called with what is being trained, how many steps are done, and how many there are."""
Learnt = Mapping[str, "torch.nn.Parameter"]


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
    gradients_at: Callable[[int], Sequence[torch.Tensor]],
    schedule: Schedule,
    folder: Path,
    report: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Train `model` in place; a stopped training goes on exactly where it was.

    `gradients_at(step)` are those of the parameters that are learnt, in their order, and depend on nothing else.

    `folder/training.safetensors` holds weights, optimiser state and the step; it is replaced every `save_every` steps.
    `report` is called with the steps that are done and all there are.
    """
    import math

    import torch

    learnt = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimiser = torch.optim.AdamW(
        learnt.values(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, betas=(0.9, 0.98)
    )
    checkpoint = folder / "training.safetensors"
    start = _restore(learnt, optimiser, checkpoint) if checkpoint.exists() else 0
    model.train()
    report(start, schedule.steps)
    for step in range(start, schedule.steps):
        fraction = step / schedule.steps
        rate = min(1.0, (step + 1) / schedule.warmup) * 0.5 * (1 + math.cos(math.pi * fraction))
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate * max(rate, 0.01)
        for parameter, gradient in zip(learnt.values(), gradients_at(step), strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(learnt.values(), schedule.clip)
        optimiser.step()
        report(step + 1, schedule.steps)
        if (step + 1) % schedule.save_every == 0:
            _save(learnt, optimiser, step + 1, checkpoint)
    model.eval()


def _save(learnt: Learnt, optimiser: torch.optim.Optimizer, step: int, path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {f"model/{name}": value for name, value in learnt.items()}
    for name, parameter in learnt.items():
        for key, value in optimiser.state[parameter].items():
            tensors[f"optimiser/{key}/{name}"] = value
    with atomic_file(path) as temporary:
        save_file(
            {name: value.detach().contiguous() for name, value in tensors.items()}, temporary, {"step": str(step)}
        )


def _restore(learnt: Learnt, optimiser: torch.optim.Optimizer, path: Path) -> int:
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file, torch.no_grad():
        for name, parameter in learnt.items():
            parameter.copy_(file.get_tensor(f"model/{name}"))
            optimiser.state[parameter] = {
                key: file.get_tensor(f"optimiser/{key}/{name}") for key in ("step", "exp_avg", "exp_avg_sq")
            }
        return int(file.metadata()["step"])
