"""A small resumable training loop: AdamW or Muon, warm-up and cosine, checkpoints as safetensors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench.files import atomic_file

if TYPE_CHECKING:
    import torch

Report = Callable[[str, int, int], None]
"""Called with what is being trained, how many steps are done, and how many there are."""
Learnt = Mapping[str, "torch.nn.Parameter"]
States = Mapping[str, MutableMapping[str, Any]]
"""What the optimisers remember of each parameter: their own dictionaries, which change as they step."""


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
    matrices: Collection[str] = (),
    report: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Train `model` in place; a stopped training goes on exactly where it was.

    `gradients_at(step)` are those of the parameters that are learnt, in their order, and depend on nothing else.

    `folder/training.safetensors` holds weights, optimiser state and the step; it is replaced every `save_every` steps.
    The weights named in `matrices` are learnt by Muon (Jordan et al. 2024), its steps as long as AdamW's (Liu et al.
    2025, arXiv:2502.16982), all others by AdamW. `report` is called with the steps that are done and all there are.
    """
    import math

    import torch

    learnt = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    rest = [weight for name, weight in learnt.items() if name not in matrices]
    decay = schedule.weight_decay
    optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, weight_decay=decay, betas=(0.9, 0.98))]
    if matrices:
        named = [learnt[name] for name in matrices]
        optimisers.append(torch.optim.Muon(named, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    groups = [group for optimiser in optimisers for group in optimiser.param_groups]
    states = _states(learnt, optimisers)
    checkpoint = folder / "training.safetensors"
    start = _restore(learnt, states, checkpoint) if checkpoint.exists() else 0
    model.train()
    report(start, schedule.steps)
    for step in range(start, schedule.steps):
        fraction = step / schedule.steps
        rate = min(1.0, (step + 1) / schedule.warmup) * 0.5 * (1 + math.cos(math.pi * fraction))
        for group in groups:
            group["lr"] = schedule.learning_rate * max(rate, 0.01)
        for parameter, gradient in zip(learnt.values(), gradients_at(step), strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(learnt.values(), schedule.clip)
        for optimiser in optimisers:
            optimiser.step()
        report(step + 1, schedule.steps)
        if (step + 1) % schedule.save_every == 0:
            _save(learnt, states, step + 1, checkpoint)
    model.eval()


def _states(learnt: Learnt, optimisers: Sequence[torch.optim.Optimizer]) -> States:
    names = {parameter: name for name, parameter in learnt.items()}
    return {
        names[parameter]: optimiser.state[parameter]
        for optimiser in optimisers
        for group in optimiser.param_groups
        for parameter in group["params"]
    }


def _save(learnt: Learnt, states: States, step: int, path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {f"model/{name}": value for name, value in learnt.items()}
    tensors |= {f"optimiser/{key}/{name}": value for name, state in states.items() for key, value in state.items()}
    with atomic_file(path) as temporary:
        save_file(
            {name: value.detach().contiguous() for name, value in tensors.items()}, temporary, {"step": str(step)}
        )


def _restore(learnt: Learnt, states: States, path: Path) -> int:
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file, torch.no_grad():
        for name, parameter in learnt.items():
            parameter.copy_(file.get_tensor(f"model/{name}"))
        for stored in file.keys():  # noqa: SIM118
            kind, _, rest = stored.partition("/")
            if kind == "optimiser":
                key, _, name = rest.partition("/")
                states[name][key] = file.get_tensor(stored)
        return int(file.metadata()["step"])
