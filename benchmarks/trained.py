"""What the shipped trainings found, and what they took: RAQO beside GRAPE, on the same model and tasks.

    python benchmarks/trained.py

R@10 and differences are those of the board; ‡ is the best row without a language model, the first of each task.
p-values are corrected for the rows that stand here. Of several seeds all figures are means. `answers` are what a
training sampled to learn from, `tokens` theirs, and `minutes` those it sampled and learnt for, by the clock of the
machine that made it, as its own records say; validations are left out of all three.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.plan import TASKS
from study.tables import markdown, p_value

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.leaderboard import render

if TYPE_CHECKING:
    from grapebench.leaderboard.board import Row, Table, Versus
    from grapebench.leaderboard.results import Result

HEAD = ("task", "rewriter", "R@10", "Δ to ‡", "p", "Δ to llm", "p", "Δ to grape", "p", "answers", "tokens", "minutes")


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
    from grapebench.leaderboard import board, standings, store

    names = ("llm", *TRAINED)
    stored = [one for one in store.find([store.published_dir()])[0] if _measured(one.result, task)]
    for name in names:
        if all(one.result.rewriter.name != name for one in stored):
            raise UserError(f"there is no published result of rewriter {name!r} on {task}")
    table = _narrowed(board.tables(one.result for one in stored)[0], names)
    (table,), _ = standings.stand([table], {one.result.id: one.folder for one in stored}, names)
    return [_line(table, row) for row in sorted(table.ranked, key=lambda row: _order(row, names))]


def _measured(result: Result, task: str) -> bool:
    card = catalog.task_card(task).card
    return (result.suite, result.task, result.protocol, result.limit) == ("mini", task, card.protocol, None)


def _narrowed(table: Table, names: Sequence[str]) -> Table:
    """Of its rows the best without a language model and those that are told of: p-values are corrected for these."""
    from grapebench.leaderboard import references

    fair = references.without_language_model(table.ranked)
    return replace(table, ranked=tuple(row for row in table.ranked if row is fair or row.label in names), oracles=())


def _order(row: Row, names: Sequence[str]) -> int:
    return names.index(row.label) if row.label in names else -1


def _line(table: Table, row: Row) -> list[str]:
    to = dict(zip(table.references, row.against, strict=True)) | {"fair": table.fairly(row)}
    told = [_told(to["fair"]), _told(to["llm"]), _told(to["grape"] if row.label == "raqo" else None)]
    took = ["", "", ""]
    if row.label in TRAINED:
        folders = [catalog.folder() / "baselines" / "models" / row.label / table.first.task / str(s) for s in row.seeds]
        each = [TRAINED[row.label](folder) for folder in folders]
        took = [f"{statistics.fmean(one.answers for one in each):,.0f}"]
        took += [f"{statistics.fmean(one.tokens for one in each):,.0f}"]
        took += [f"{statistics.fmean(one.minutes for one in each):.1f}"]
    figure = render.percent(replace(row.figures[table.main], low=None, high=None))
    return [table.first.task, row.label, figure, *(cell for pair in told for cell in pair), *took]


def _told(versus: Versus | None) -> tuple[str, str]:
    if versus is None or versus.p is None:
        return "", ""
    return f"{100 * versus.delta.value:+.1f}", p_value(versus.p)


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
