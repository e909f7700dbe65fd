"""The study's tables, in Markdown, from what has been kept so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from study import latency
from study.plan import Part, Run
from study.seeds import Record, Row, Spread, spread, with_p

COSINES = {"positive": "positive", "others": "all others", "top_others": "top others", "margin": "margin"}


def rows(part: Part, records: Mapping[Run, Record]) -> list[Row]:
    """One for each cell that has any run."""
    found = []
    for cell in part.cells:
        some = tuple(records[run] for run in cell.runs if run in records)
        if some:
            found.append(Row(cell.task, cell.setting, some, cell.task))
    return found


def frozen(records: Mapping[Run, Record]) -> dict[tuple[str, str], Record]:
    """Of the frozen model, by task and geometry."""
    return {(run.task, run.geometry): record for run, record in records.items() if not run.steps}


def gain(row: Row, before: Mapping[tuple[str, str], Record], figure: str) -> Spread | None:
    """How much more of a figure than the frozen model has."""
    start = before.get(row.place)
    if start is None:
        return None
    base = start["test"][row.tested_on]["greedy"].get(figure)
    return None if base is None else spread([test[figure] - base for test in row.tests if test[figure] is not None])


def common_share(row: Row, before: Mapping[tuple[str, str], Record]) -> float | None:
    """Of the similarity that the positive gained, how much all other images gained too; None where it gained none."""
    positive, others = gain(row, before, "positive"), gain(row, before, "others")
    return None if positive is None or others is None or positive.mean <= 0 else others.mean / positive.mean


def table(part: Part, records: Mapping[Run, Record], times: Mapping[str, float]) -> str:
    """A setting a line, the frozen model first; empty where nothing is kept yet. `times` are those of `latency`."""
    before = frozen(records)
    found = with_p(rows(part, records), before, part.control)
    if not found:
        return ""
    if part.name == "transfer":
        return _heading(part, found) + _transfer(part, records)
    if part.name == "answers":
        return _heading(part, found) + _answers(part, records, times)
    lines = []
    for place in dict.fromkeys(row.place for row in found):
        start = before.get(place)
        if start is not None:
            lines.append(Row(place[0], _frozen_name(place[1]), (start,), place[0]))
        lines += [row for row in found if row.place == place]
    return _heading(part, found) + "".join(some(part, lines, before) for some in (_recall, _cosines, _wording))


def _frozen_name(geometry: str) -> str:
    return f"{geometry}, frozen" if geometry else "frozen"


def _is_trained(row: Row) -> bool:
    return all(record["run"]["steps"] for record in row.records)


def _recall(part: Part, lines: Sequence[Row], before: Mapping[tuple[str, str], Record]) -> str:
    head = ["task", "setting", "seeds", "R@1", "R@10", "gain", "p", f"p to {part.control}", "stopped", "minutes"]

    def cells(row: Row) -> list[str]:
        trained = _is_trained(row)
        return [
            *(percent(row.spread(figure)) for figure in ("R@1", "R@10")),
            percent(gain(row, before, "R@10"), "+") if trained else "",
            p_value(row.p),
            p_value(row.p_control),
            str(sum(record["reason"] != "finished" for record in row.records)) if trained else "",
            minutes(row),
        ]

    made = [[row.task, row.setting, str(len(row.records)), *cells(row)] for row in lines]
    return markdown(head, made, None if part.control else 7)


def _cosines(part: Part, lines: Sequence[Row], before: Mapping[tuple[str, str], Record]) -> str:
    note = "Cosines; of trained models what they gained over the frozen one, whose own stand in its line.\n\n"
    made = []
    for row in lines:
        trained = _is_trained(row)
        share = common_share(row, before) if trained else None
        shown = (gain(row, before, figure) if trained else row.spread(figure) for figure in COSINES)
        signed = [number(one, 3, "+" if trained else "") for one in shown]
        made.append([row.task, row.setting, *signed, "" if share is None else f"{share:.2f}"])
    return note + markdown(["task", "setting", *COSINES.values(), "common share"], made)


def _wording(part: Part, lines: Sequence[Row], before: Mapping[tuple[str, str], Record]) -> str:
    shares = ("facts", "known_pairs", "repetition", "unusable")
    made = [
        [row.task, row.setting, *(percent(row.spread(figure)) for figure in shares), number(row.spread("tokens"), 1)]
        for row in lines
    ]
    return "Wording, in percent.\n\n" + markdown(
        ["task", "setting", *(share.replace("_", " ") for share in shares), "tokens"], made
    )


def minutes(row: Row) -> str:
    """Of the quickest training: the others met a busier machine, or were paused."""
    found = [record["training_seconds"] / 60 for record in row.records if "training_seconds" in record]
    return f"{min(found):.1f}" if found else ""


def crossed(part: Part, records: Mapping[Run, Record]) -> list[Row]:
    """Each rewriter of a part on each task that it was tested on."""
    found = []
    for row in rows(part, records):
        tasks = dict.fromkeys(task for record in row.records for task in record["test"])
        for task in tasks:
            some = tuple(record for record in row.records if task in record["test"])
            found.append(Row(row.task, row.task, some, task))
    return with_p(found, frozen(records))


def _transfer(part: Part, records: Mapping[Run, Record]) -> str:
    found, before = crossed(part, records), frozen(records)
    tasks = list(dict.fromkeys(row.tested_on for row in found))
    cells = {(row.task, row.tested_on): row for row in found}
    lines = []
    for trained in dict.fromkeys(row.task for row in found):
        line = [trained]
        for task in tasks:
            row = cells.get((trained, task))
            gained = None if row is None else gain(row, before, "R@10")
            mark = "*" if row is not None and row.p is not None and row.p < 0.01 else ""
            line.append(f"{percent(gained, '+')}{mark}")
        lines.append(line)
    note = "R@10 over the frozen model's, in points; * p < 0.01. A line is what was trained on, a column the test.\n\n"
    return note + markdown(["trained on", *tasks], lines)


def ways(part: Part, records: Mapping[Run, Record]) -> list[Row]:
    """Each way to answer of the frozen and the trained rewriters that were sampled."""
    trained = rows(part, records)
    start = [
        Row(task, "frozen", (record,), task) for (task, geometry), record in frozen(records).items() if not geometry
    ]
    found = []
    for row in [*start, *trained]:
        names = dict.fromkeys(way for record in row.records for way in _ways(record["test"][row.task]))
        if len(names) > 1:
            found += [
                Row(row.task, row.setting, row.records, row.task, way)
                for way in names
                if all(way in record["test"][row.task] for record in row.records)
            ]
    return found


def _ways(test: Record) -> list[str]:
    return [name for name, value in test.items() if isinstance(value, dict)]


def answers_of(row: Row) -> int:
    """How many answers a way samples; 0 for a greedy one."""
    return 0 if row.way == "greedy" else int(row.way.rpartition("-")[2])


def milliseconds(row: Row, times: Mapping[str, float]) -> float | None:
    """Of a query's answers, where that was timed."""
    return times.get(latency.key(row.task, row.setting != "frozen", answers_of(row)))


def _answers(part: Part, records: Mapping[Run, Record], times: Mapping[str, float]) -> str:
    lines = []
    for row in ways(part, records):
        ms = milliseconds(row, times)
        recalls = (percent(row.spread(f"R@{k}")) for k in (1, 10))
        written = number(row.spread("tokens"), 1)
        lines.append([row.task, row.setting, row.way, *recalls, written, "" if ms is None else f"{ms:.1f}"])
    note = (
        "mean-K searches with the mean vector of K sampled answers; best-K is an oracle that chooses by the label. "
        "Tokens are written for one query; ms of one core, asked in batches.\n\n"
    )
    return note + markdown(["task", "rewriter", "answers", "R@1", "R@10", "tokens", "ms"], lines)


def _heading(part: Part, found: Iterable[Row]) -> str:
    planned = sum(len(cell.runs) for cell in part.cells)
    kept = sum(len(row.records) for row in found)
    rest = "" if kept == planned else f" ({kept} of {planned} runs so far)"
    return f"## {part.name}{rest}\n\n{part.question}\n\n"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]], drop: int | None = None) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell for place, cell in enumerate(cells) if place != drop) + " |\n"

    return line(head) + line(["---"] * len(head)) + "".join(map(line, lines)) + "\n"


def _said(value: Spread | None, shown: Callable[[float], str], plain: Callable[[float], str]) -> str:
    if value is None:
        return ""
    return shown(value.mean) + ("" if value.sd is None else f" ± {plain(value.sd)}")


def percent(value: Spread | None, sign: str = "") -> str:
    return _said(value, lambda one: f"{100 * one:{sign}.1f}", lambda one: f"{100 * one:.1f}")


def number(value: Spread | None, digits: int, sign: str = "") -> str:
    return _said(value, lambda one: f"{one:{sign}.{digits}f}", lambda one: f"{one:.{digits}f}")


def p_value(p: float | None) -> str:
    return "" if p is None else f"{p:.4f}" if p >= 0.0001 else "< 0.0001"
