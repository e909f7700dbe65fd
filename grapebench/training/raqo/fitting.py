"""Steps of one stage: rows in an order of their own, a log, checkpoints, and going on from the last of these."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PrinterCallback, TrainerCallback

from grapebench import files
from grapebench.files import sha256
from grapebench.training import checkpoint, policy

if TYPE_CHECKING:
    from grapebench.training.raqo.config import Fit

LOG = "log.jsonl"
TOLD = ("loss", "learning_rate", "ordered")
"""What a line of the log says of a step, where it is known, beside how long it took."""


class InOrder:
    """Mixed into a Trainer: rows are taken as they stand."""

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        from torch.utils.data import SequentialSampler

        return SequentialSampler(self.train_dataset if dataset is None else dataset)  # type: ignore[attr-defined]


def within(fit: Fit, examples: int) -> Fit:
    """The settings of a stage with a batch of no more than there is to learn from, at least one."""
    if examples >= fit.batch:
        return fit
    # As many at once as fit evenly and were asked for at most: memory is not to grow.
    at_once = max(size for size in range(1, (fit.micro_batch or examples) + 1) if examples % size == 0)
    return fit.model_copy(update={"batch": examples, "micro_batch": None if fit.micro_batch is None else at_once})


def arguments(fit: Fit, steps: int, seed: int, bf16: bool, work: Path) -> dict[str, Any]:
    """What `transformers.TrainingArguments` are told, of whatever kind."""
    size = fit.micro_batch or fit.batch
    return {
        "output_dir": str(work),
        "max_steps": steps,
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": fit.batch // size,
        "learning_rate": fit.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": fit.warmup,
        "gradient_checkpointing": False,
        "bf16": bf16,
        "seed": seed,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
    }


def run(trainer: Any, keeper: Keeper) -> None:
    """Train to the end, from the last checkpoint in the keeper's folder where there is one; no step is made twice into
    another result."""
    checkpoint.sweep(keeper.folder)
    keeper.start = next(reversed(checkpoint.steps(keeper.folder)), None)
    _truncate(keeper.folder / LOG, keeper.start or 0)
    keeper.trainer = trainer
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(keeper)
    place = None if keeper.start is None else str(checkpoint.path_of(keeper.folder, keeper.start))
    trainer.train(resume_from_checkpoint=place)


@dataclass(eq=False)
class Keeper(TrainerCallback):  # type: ignore[misc]
    """Writes the log and the checkpoints of a stage into its folder."""

    folder: Path
    every: int
    """Steps between checkpoints."""
    seed: str
    """Text that says what the random numbers of a step belong to."""
    save: Callable[[Any, Path], None]
    """Writes a model's weights into a folder."""
    told: Callable[[int, int], None]
    """Is told how many steps of how many there were."""
    start: int | None = field(default=None, init=False)
    trainer: Any = field(default=None, init=False)
    _began: float = field(default=0.0, init=False)

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._optimiser, self._schedule = given["optimizer"], given["lr_scheduler"]
        if self.start is not None:
            checkpoint.restore(checkpoint.path_of(self.folder, self.start), self._optimiser, self._schedule)

    def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        from transformers import set_seed

        # What a step draws (dropout, where a model has it) depends on the step alone, not on what was drawn before.
        set_seed(int(sha256(f"{self.seed}/{state.global_step}")[:8], 16))
        self._began = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **given: Any) -> None:
        """After each step. The last log of all, a summary, has no loss."""
        if logs is None or "loss" not in logs:
            return
        step = state.global_step
        line = {"step": step, "seconds": time.perf_counter() - self._began}
        line |= {name: logs[name] for name in TOLD if name in logs}
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        # Not after the last step: whoever is stopped there takes up a checkpoint that has steps before it.
        if step % self.every == 0 and step < args.max_steps:
            model = self.trainer.accelerator.unwrap_model(self.trainer.model_wrapped)
            save: Callable[[Path], None] = lambda folder: self.save(model, folder)  # noqa: E731
            checkpoint.write(self.folder, state, save, self._optimiser, self._schedule)
            checkpoint.prune(self.folder, step)
        self.told(step, args.max_steps)


def saving(base: str, tokenizer: Any) -> Callable[[Any, Path], None]:
    """How a model's weights, or those of its adapter, are written; `base` is the name of what it was trained from."""
    return lambda model, folder: policy.save(model, model.state_dict(), folder, base, tokenizer)


def losses(folder: Path) -> list[dict[str, float]]:
    """The lines of a stage's log; what a killed process left of a line is none."""
    path = folder / LOG
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def clear(folder: Path) -> None:
    """Remove what was kept to go on from: the stage is finished."""
    shutil.rmtree(folder / checkpoint.FOLDER, ignore_errors=True)


def _truncate(path: Path, step: int) -> None:
    kept = [json.dumps(line) + "\n" for line in losses(path.parent) if line["step"] <= step]
    if path.is_file():
        files.write_text(path, "".join(kept))
