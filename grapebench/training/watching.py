"""What happens beside the learning: the log, validations, checkpoints, and the end of a training that has collapsed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import harmonic_mean
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from grapebench.files import sha256
from grapebench.training import checkpoint, journal, policy
from grapebench.training.collapse import Watch
from grapebench.training.journal import Step, Stop, Val
from grapebench.training.trainer import sharded
from grapebench.training.validation import together

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Report
    from grapebench.rewards.reward import Judge
    from grapebench.training.config import GrapeConfig
    from grapebench.training.validation import Validation

LOGGED = {
    "reward": "group/mean",
    "reward_std": "group/std",
    "flat_groups": "group/flat",
    "kl": "kl",
    "entropy": "entropy",
    "length": "completions/mean_length",
    "repetition": "form/repetition",
    "unusable": "form/unusable",
    "cut": "completions/clipped_ratio",
    "positive": "similarity/positive",
    "others": "similarity/others",
    "top_others": "similarity/top_others",
    "margin": "similarity/margin",
    "rank_median": "rank/median",
    "rank_first": "rank/first",
    "loss": "loss",
    "learning_rate": "learning_rate",
}
"""The fields of a step and what TRL, or our reward, calls them."""


@dataclass(eq=False)
class Watcher(TrainerCallback):  # type: ignore[misc]
    """All processes answer val queries; the first alone judges, writes and decides, and tells the others."""

    config: GrapeConfig
    folder: Path
    validations: Sequence[Validation]
    judges: Sequence[Judge]
    """Both one for each task."""
    turns: Sequence[str]
    """The label of the task that each step asks, from the first step on."""
    base: str
    """The name of the model that training started from."""
    report: Report
    start: int | None = None
    """The step of the checkpoint that training goes on from; None: from the beginning."""
    trainer: Any = field(default=None, init=False)
    stopped: str | None = field(default=None, init=False)
    """Why the training ended."""
    best: Val | None = field(default=None, init=False)
    _began: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        # A mean over tasks varies as a share of so many queries does, where the tasks' shares are alike, and less
        # where they are not.
        counts = [len(validation.part.queries) for validation in self.validations]
        self._watch = Watch(round(len(counts) * harmonic_mean(counts)), self.config.collapse)

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._optimiser, self._schedule = given["optimizer"], given["lr_scheduler"]
        if self.start is None:
            self._validate(state)
            self._save(state)
            return
        checkpoint.restore(checkpoint.path_of(self.folder, self.start), self._optimiser, self._schedule)

    def replay(self) -> str | None:
        """Take in the log of a training that goes on; the reason where its last step already ended it."""
        reason, step = None, 0
        for entry in journal.read(self.folder):
            reason = self._see(entry) or (reason if entry.step == step else None)
            step = entry.step
        return reason or ("finished" if self.start == self.config.steps else None)

    def stop(self, step: int, reason: str) -> None:
        self.stopped = reason
        self._record(Stop(step=step, reason=reason))

    def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        from transformers import set_seed

        # What a step draws depends on the seed, the step and the process alone, not on what was drawn before.
        drawn = sha256(f"grape/{self.config.seed}/{state.global_step}/{self.trainer.accelerator.process_index}")
        set_seed(int(drawn[:8], 16))
        self._began = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **given: Any) -> None:
        """After each step. The last log of all, a summary, has no loss."""
        if logs is None or "loss" not in logs:
            return
        step = state.global_step
        values = {name: logs.get(known) for name, known in LOGGED.items()}
        told = values | {"step": step, "task": self.turns[step - 1], "seconds": time.perf_counter() - self._began}
        entry = Step.model_validate(told)
        reason = self._record(entry)
        if self._first and (warning := self._watch.warning(entry)):
            print(f"warning: {warning}", file=sys.stderr)
        last = step >= self.config.steps
        if last or step % self.config.val_every == 0:
            reason = self._validate(state) or reason
        # Only what all processes know may decide, and the first alone knows the log.
        reason = self._told(reason)
        if reason or last or step % self.config.val_every == 0 or step % self.config.save_every == 0:
            self._save(state)
        if reason or last:
            control.should_training_stop = True
            self.stop(step, reason or "finished")
        self.report("training", step, self.config.steps)

    @property
    def _first(self) -> bool:
        return bool(self.trainer.accelerator.is_main_process)

    def _record(self, entry: journal.Entry) -> str | None:
        if self.trainer is not None and not self._first:
            return None
        journal.append(self.folder, entry)
        return self._see(entry)

    def _see(self, entry: journal.Entry) -> str | None:
        reason = self._watch.see(entry)
        self.best = self._watch.best
        return reason

    def _told(self, reason: str | None) -> str | None:
        """What the first process has to say."""
        from accelerate.utils import broadcast_object_list

        if self.trainer.accelerator.num_processes == 1:
            return reason
        said: list[str | None] = broadcast_object_list([reason])
        return said[0]

    def _validate(self, state: Any) -> str | None:
        """Ask, judge and write; the reason where the training has collapsed."""
        from accelerate.utils import gather_object

        accelerator = self.trainer.accelerator
        began = time.perf_counter()
        model = accelerator.unwrap_model(self.trainer.model_wrapped)
        figures, samples = {}, []
        for validation in self.validations:
            answers = validation.answer(model, accelerator.process_index, accelerator.num_processes)
            answers = gather_object(answers)
            if self._first:
                figures[validation.label], some = validation.judge(answers, state.global_step)
                samples += some
        if not self._first:
            return None
        journal.append_samples(self.folder, samples)
        val = together(state.global_step, time.perf_counter() - began, figures)
        reason = self._record(val)
        survival = "" if val.fact_survival is None else f", facts kept {val.fact_survival:.1%}"
        own = "".join(f"; {task} R@10 {one.recall_10:.1%}" for task, one in val.tasks.items())
        print(
            f"step {val.step}: val R@1 {val.recall_1:.1%}, R@10 {val.recall_10:.1%}, repetition {val.repetition:.1%}, "
            f"unusable {val.unusable:.1%}, cut {val.cut:.1%}{survival}, {val.length:.1f} tokens{own}",
            file=sys.stderr,
        )
        return reason

    def _save(self, state: Any) -> None:
        # Vectors of texts depend in their last bits on what was encoded with them: whoever goes on from here, this
        # process or another, begins with none.
        for judge in self.judges:
            judge.forget()
        accelerator = self.trainer.accelerator
        weights = accelerator.get_state_dict(self.trainer.model_wrapped)
        if self._first:
            model, tokenizer = accelerator.unwrap_model(self.trainer.model_wrapped), self.validations[0].chat.tokenizer
            save: Callable[[Path], None] = lambda folder: policy.save(model, weights, folder, self.base, tokenizer)  # noqa: E731
            optimiser = None if sharded(accelerator) else self._optimiser
            checkpoint.write(self.folder, state, save, optimiser, self._schedule)
            if self.best is not None and self.best.recall_10 is not None:
                checkpoint.name_best(self.folder, self.best.step, self.best.recall_10)
                checkpoint.prune(self.folder, self.best.step)
        accelerator.wait_for_everyone()
