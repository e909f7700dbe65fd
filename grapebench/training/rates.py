"""How fast a training learns: the learning rate where none is named, and its first steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SMALL = 10_000_000
"""Parameters. Below it a model is one of the miniature's kind."""
RATES = {"small": 3e-3, "adapter": 1e-5, "full": 1e-6}
"""Of a small model, of an adapter (LoRA) of a larger one, and of all its weights. 3e-3 is what the miniature's
rewriters are trained with, which have 1 M parameters. The two others are those that TRL's guide to LoRA names for GRPO
on SmolLM3-3B (huggingface.co/docs/trl/lora_without_regret); 1e-6 is TRL's default too, and ten times as much for an
adapter is what Schulman et al., LoRA Without Regret (2025), find to be best."""


def learning_rate(parameters: int, full: bool) -> float:
    """For a model with so many parameters, of which all are trained or an adapter is."""
    return RATES["small" if parameters < SMALL else "full" if full else "adapter"]


def parameters(model: Path) -> int:
    """How many numbers the weights in a model's folder are; only the files' heads are read."""
    from math import prod

    from safetensors import safe_open

    count = 0
    for path in sorted(model.glob("*.safetensors")):
        with safe_open(path, framework="np") as file:
            count += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return count


class LearnsAtOnce:
    """Mixed into a Trainer: with `warmup_steps = w` step k of the first w learns at k / w of the full rate.

    transformers' schedules start at 0 / w, so that a first step is computed and changes nothing.
    """

    args: Any

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        made = super().create_scheduler(num_training_steps, optimizer)  # type: ignore[misc]
        warmup = self.args.get_warmup_steps(num_training_steps)
        if warmup and hasattr(made, "lr_lambdas"):
            made.lr_lambdas = [_ahead(one, warmup) for one in made.lr_lambdas]
            for group, base, rate in zip(made.optimizer.param_groups, made.base_lrs, made.lr_lambdas, strict=True):
                group["lr"] = base * rate(made.last_epoch)
        return made


def _ahead(rate: Any, warmup: int) -> Any:
    return lambda step: rate(step + 1 if step < warmup else step)
