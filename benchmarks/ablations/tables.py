"""The table of the ablations, in Markdown, from what has been kept so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from study.plan import SEEDS, TEST_QUERIES
from study.seeds import Record, Row, Spread, spread, with_p
from study.tables import gain, markdown, minutes, number, p_value, percent

from ablations.plan import DATA, FROZEN, TASKS, VARIANTS, WHOLE, Run

HEAD = (
    "task", "variant", "seeds", "R@1", "R@10", f"Δ to {FROZEN}", "p", f"Δ to {WHOLE}", "p to it", "facts",
    "repetition", "unusable", "detected", "none", "as taught", "answers", "tokens", "minutes",
)  # fmt: skip


def table(records: Mapping[Run, Record]) -> str:
    """A variant a line, the frozen model first; empty where nothing is kept yet."""
    frozen = {(run.task, ""): record for run, record in records.items() if not run.trained}
    found = with_p(rows(records), frozen, WHOLE)
    lines = []
    for task in TASKS:
        if (task, "") in frozen:
            lines.append(_line(Row(task, FROZEN, (frozen[task, ""],), task), frozen, None))
        whole = next((row for row in found if (row.task, row.setting) == (task, WHOLE)), None)
        lines += [_line(row, frozen, whole) for row in found if row.task == task]
    if not lines:
        return ""
    planned = len(TASKS) * len(VARIANTS) * len(SEEDS)
    kept = sum(run.trained for run in records)
    rest = "" if kept == planned else f" ({kept} of {planned} trainings so far)"
    return f"## RAQO's parts{rest}\n\n{NOTE}\n\n" + markdown(HEAD, lines)


NOTE = f"""\
Of {TEST_QUERIES:,} test queries, means over the seeds ± their standard deviation; Δ in points of R@10, p of it with
Holm's correction over the column. `facts` is the share of the image's facts that rewrites say. `detected`, `none` and
`as taught` are of the val queries and of rows of D_CCR after the last stage. Data are made of {DATA["queries"]}
training queries; `answers` and their `tokens` are those sampled for them, shared by all variants of a seed, and
`minutes` those of the stages' steps by the clock, of the quickest seed."""


def rows(records: Mapping[Run, Record]) -> list[Row]:
    """One for each variant of a task that any seed has."""
    found = []
    for task in TASKS:
        for variant in VARIANTS:
            runs = [Run(task, variant, seed) for seed in SEEDS]
            some = tuple(records[run] for run in runs if run in records)
            if some:
                found.append(Row(task, variant, some, task))
    return found


def against(row: Row, other: Row) -> Spread | None:
    """How much more R@10 than another row, seed by seed; None where no seed has both."""
    theirs = {record["run"]["seed"]: test["R@10"] for record, test in zip(other.records, other.tests, strict=True)}
    pairs = [(record["run"]["seed"], test["R@10"]) for record, test in zip(row.records, row.tests, strict=True)]
    return spread([own - theirs[seed] for seed, own in pairs if seed in theirs])


def _line(row: Row, frozen: Mapping[tuple[str, str], Record], whole: Row | None) -> list[str]:
    trained = row.setting != FROZEN
    compared = trained and whole is not None and row.setting != WHOLE
    return [
        row.task,
        row.setting,
        str(len(row.records)) if trained else "",
        *(percent(row.spread(figure)) for figure in ("R@1", "R@10")),
        percent(gain(row, frozen, "R@10"), "+") if trained else "",
        p_value(row.p),
        percent(against(row, whole), "+") if compared and whole is not None else "",
        p_value(row.p_control),
        *(percent(row.spread(figure)) for figure in ("facts", "repetition", "unusable")),
        *(percent(row.spread(_detection(figure))) for figure in ("readable", "none", "taught")),
        number(row.spread(_told("answers")), 0),
        number(row.spread(_told("answer_tokens")), 0),
        minutes(row),
    ]


def _told(name: str) -> Callable[[Record], float | None]:
    return lambda record: record.get(name)


def _detection(name: str) -> Callable[[Record], float | None]:
    def found(record: Record) -> float | None:
        told: Mapping[str, Any] = record.get("detection", {})
        return told.get(name)

    return found
