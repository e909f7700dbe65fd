"""Checkpoints: all that a training needs to go on, as safetensors and JSON; a folder is whole or it is not there.

Random numbers are no part of them: each step draws from a seed of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import files

if TYPE_CHECKING:
    import torch
    from transformers import TrainerState

FOLDER, BEST = "checkpoints", "best.json"
KEPT = 2
"""How many of the last are kept beside the best."""
_STATE, _OPTIMISER, _SCHEDULE = "trainer_state.json", "optimiser.safetensors", "schedule.json"
OWN = (_STATE, _OPTIMISER, _SCHEDULE)
"""Files that belong to the training and not to the model."""


def path_of(training: Path, step: int) -> Path:
    return training / FOLDER / f"step-{step:06d}"


def steps(training: Path) -> list[int]:
    """Of the checkpoints that there are, ascending."""
    found = (training / FOLDER).glob("step-*")
    return sorted(int(path.name.removeprefix("step-")) for path in found if (path / _STATE).is_file())


def write(
    training: Path,
    state: TrainerState,
    save_model: Callable[[Path], None],
    optimiser: torch.optim.Optimizer | None,
    schedule: Any,
) -> None:
    """The checkpoint of `state.global_step`; without an optimiser it holds the weights and cannot be gone on from."""
    from dataclasses import replace

    with files.atomic_folder(path_of(training, state.global_step)) as folder:
        save_model(folder)
        if optimiser is not None:
            _write_optimiser(folder, optimiser, schedule)
        # Without the history: what it holds is in the log.
        replace(state, log_history=[]).save_to_json(str(folder / _STATE))


def _write_optimiser(folder: Path, optimiser: torch.optim.Optimizer, schedule: Any) -> None:
    import torch
    from safetensors.torch import save_file

    told = optimiser.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for parameter, values in told["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{parameter}/{name}"] = value.detach().cpu().contiguous()
            else:
                numbers.setdefault(str(parameter), {})[name] = value
    save_file(tensors, folder / _OPTIMISER)
    rest = {"groups": told["param_groups"], "numbers": numbers, "schedule": schedule.state_dict()}
    (folder / _SCHEDULE).write_text(json.dumps(rest), encoding="utf-8")


def restore(checkpoint: Path, optimiser: torch.optim.Optimizer, schedule: Any) -> None:
    """Optimiser and schedule as they were; the weights are loaded elsewhere."""
    from safetensors.torch import load_file

    rest = json.loads((checkpoint / _SCHEDULE).read_text(encoding="utf-8"))
    state: dict[int, dict[str, Any]] = {int(key): dict(values) for key, values in rest["numbers"].items()}
    for name, value in load_file(checkpoint / _OPTIMISER).items():
        parameter, _, key = name.partition("/")
        state.setdefault(int(parameter), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": rest["groups"]})
    schedule.load_state_dict(rest["schedule"])


def name_best(training: Path, step: int, recall: float) -> None:
    """Write down which checkpoint is the best by val R@10."""
    path = path_of(training, step)
    files.write_text(training / FOLDER / BEST, json.dumps({"step": step, "R@10": recall, "folder": path.name}) + "\n")


def prune(training: Path, best: int) -> None:
    """Remove all but the last and the best."""
    for step in steps(training)[:-KEPT]:
        if step != best:
            shutil.rmtree(path_of(training, step), ignore_errors=True)


def sweep(training: Path) -> None:
    """Remove what a killed process left unfinished."""
    for rest in (training / FOLDER).glob(".*.part"):
        shutil.rmtree(rest, ignore_errors=True)
