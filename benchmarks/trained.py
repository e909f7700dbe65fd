"""What the shipped trainings found, and what they took: RAQO beside GRAPE, on the same model and tasks.

    python benchmarks/trained.py

R@10 is that of the published results, differences and p-values are those of `grapebench compare`. `answers` are what a
training sampled to learn from, `tokens` theirs, and `minutes` those it sampled and learnt for, by the clock of the
machine that made it, as its own records say; validations are left out of all three.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.plan import TASKS
from study.tables import markdown, p_value

from grapebench import catalog
from grapebench.errors import UserError

if TYPE_CHECKING:
    from grapebench.evaluation.compare import Change

HEAD = ("task", "rewriter", "R@10", "Δ to llm", "p", "Δ to grape", "p", "answers", "tokens", "minutes")


@dataclass(frozen=True)
class Took:
    """What one training took."""

    answers: int
    tokens: int
    minutes: float


def of_grape(folder: Path) -> Took:
    """Of a GRAPE training: all attempts of all steps."""
    from grapebench.training import journal
    from grapebench.training.config import fill, read
    from grapebench.training.journal import Step

    config = fill(read(folder / "config.toml"))
    attempts = config.batch * config.group
    steps = [entry for entry in journal.read(folder) if isinstance(entry, Step)]
    tokens = sum(attempts * (step.length or 0.0) for step in steps)
    return Took(attempts * len(steps), round(tokens), sum(step.seconds or 0.0 for step in steps) / 60)


def of_raqo(folder: Path) -> Took:
    """Of a RAQO training: what its data were made of, and the steps of all stages."""
    from grapebench.training.raqo.config import STAGES
    from grapebench.training.raqo.fitting import losses

    rounds: list[dict[str, Any]] = json.loads((folder / "data" / "card.json").read_text(encoding="utf-8"))["rounds"]
    learning = sum(line["seconds"] for stage in STAGES for line in losses(folder / stage))
    return Took(
        sum(told["texts"] for told in rounds),
        sum(told["completion_tokens"] for told in rounds),
        (sum(told["seconds"] for told in rounds) + learning) / 60,
    )


TRAINED: dict[str, Callable[[Path], Took]] = {"grape": of_grape, "raqo": of_raqo}


def lines(task: str) -> list[list[str]]:
    """The table's lines of a task. Raises UserError where one of the three has no published result."""
    from grapebench.evaluation import compare
    from grapebench.leaderboard import choice, store

    names = ("llm", *TRAINED)
    found = choice.newest_together(names, task, "mini", [store.published_dir()])
    frozen, *trained = (compare.read(folder) for folder in found)
    gains = [comparison.changes["R@10"] for comparison in compare.compare(frozen, trained)]
    [further] = (comparison.changes["R@10"] for comparison in compare.compare(trained[0], trained[1:]))
    cells = [[task, "llm", f"{100 * gains[0].base:.1f}", *[""] * 7]]
    for name, gain, beyond in zip(TRAINED, gains, (None, further), strict=True):
        took = TRAINED[name](catalog.folder() / "baselines" / "models" / name / task)
        beside = _told(beyond) if beyond else ("", "")
        own = [f"{took.answers:,}", f"{took.tokens:,}", f"{took.minutes:.1f}"]
        cells.append(["", name, f"{100 * gain.value:.1f}", *_told(gain), *beside, *own])
    return cells


def _told(change: Change) -> tuple[str, str]:
    return f"{100 * change.delta:+.1f}", p_value(change.adjusted)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    try:
        print(markdown(HEAD, [line for task in TASKS for line in lines(task)]), end="")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
