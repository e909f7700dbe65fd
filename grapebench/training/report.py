"""One page about a training: its curves, its figures, its settings, and what became of some queries through time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from grapebench import files
from grapebench.errors import UserError
from grapebench.training import journal
from grapebench.training.journal import Entry, Sample, Step, Stop, Val

CONFIG, PAGE = "config.toml", "report.html"

FIGURES = {
    "recall_1": ("R@1", "{:.1%}"),
    "recall_10": ("R@10", "{:.1%}"),
    "positive": ("similarity to the positive", "{:.3f}"),
    "top_others": ("similarity to the top others", "{:.3f}"),
    "others": ("similarity to the others", "{:.3f}"),
    "margin": ("margin", "{:+.3f}"),
    "repetition": ("repetition", "{:.1%}"),
    "unusable": ("unusable outputs", "{:.1%}"),
    "cut": ("outputs cut off", "{:.1%}"),
    "length": ("tokens", "{:.1f}"),
    "fact_survival": ("facts kept", "{:.1%}"),
}
"""Of a validation: what each is called, and how it is written."""
BY_TASK = ("recall_1", "recall_10")
"""Of several tasks each one's own is shown too."""


def headroom_file(label: str) -> str:
    """What is kept of the headroom of a task; `label` is '' where there is one task."""
    return f"headroom-{label}.json" if label else "headroom.json"


@dataclass(frozen=True)
class Summary:
    """Where a training stands."""

    folder: Path
    steps: int
    """Made so far."""
    seconds: float
    """Of steps and validations together."""
    stop: str | None
    """Why it ended; None for one that is under way or was killed."""
    frozen: Val | None
    """The validation of the model before its first step."""
    best: Val | None
    """The validation with the highest R@10, the earliest of equals."""
    last: Val | None

    def rows(self) -> list[tuple[str, list[str]]]:
        """Each figure that is known with its values before training, of the best checkpoint and of the last one."""
        three = (self.frozen, self.best, self.last)
        rows = []
        for field, (name, form) in FIGURES.items():
            lines = {name: [getattr(val, field, None) for val in three]}
            for task in self.tasks if field in BY_TASK else ():
                lines[f"{name} {task}"] = [None if val is None else getattr(val.tasks[task], field) for val in three]
            rows += [
                (line, ["–" if value is None else form.format(value) for value in values])
                for line, values in lines.items()
                if any(value is not None for value in values)
            ]
        return rows

    @property
    def tasks(self) -> list[str]:
        """Those that there are several of."""
        return [] if self.last is None else list(self.last.tasks)

    def columns(self) -> list[str]:
        """What the values of a row are of."""
        shown = ["–" if val is None else f"step {val.step:,}" for val in (self.best, self.last)]
        return ["frozen model", f"best ({shown[0]})", f"last ({shown[1]})"]

    def state(self) -> str:
        """One sentence on how far it has come."""
        end = "under way, or killed: then the same command goes on" if self.stop is None else self.stop
        return f"{self.steps:,} steps in {_duration(self.seconds)}; {end}"

    def as_json(self) -> dict[str, Any]:
        vals = {"frozen": self.frozen, "best": self.best, "last": self.last}
        told = {
            name: None if val is None else val.model_dump(by_alias=True, exclude={"kind"}) for name, val in vals.items()
        }
        return {"folder": str(self.folder), "steps": self.steps, "seconds": self.seconds, "stop": self.stop, **told}


def summary(folder: Path) -> Summary:
    """Where the training in `folder` stands. Raises UserError for a folder that is no training, or a broken log."""
    return _summary(folder, _read(folder))


def report(folder: Path) -> Path:
    """Draw the training in `folder`, finished or not, as one page without scripts or links, and return its path.

    Raises UserError for a folder that is no training, for a broken file in it, and without matplotlib.
    """
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    from grapebench.training import curves

    curves.check()
    entries = _read(folder)
    found = _summary(folder, entries)
    here = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    config = folder / CONFIG
    told = {
        "name": folder.resolve().name,
        "summary": found,
        "config": _text(config) if config.is_file() else None,
        "headroom": [table for task in ("", *found.tasks) if (table := _headroom(folder, task))],
        "queries": _histories(journal.read_samples(folder)),
        "width": curves.width(sum(isinstance(entry, Step) for entry in entries), len(found.tasks)),
    }
    plots = [(plot, Markup(svg)) for plot, svg in curves.draw(entries, found.best)]
    page = here.get_template("report.html").render(told, plots=plots)
    files.write_text(folder / PAGE, page)
    return folder / PAGE


def _read(folder: Path) -> list[Entry]:
    if not folder.is_dir():
        raise UserError("no such folder", file=folder)
    if not any((folder / name).is_file() for name in (CONFIG, journal.LOG)):
        raise UserError(
            f"is no training: neither {CONFIG} nor {journal.LOG} is in it",
            file=folder,
            fix="name the folder that `grapebench train` wrote",
        )
    return journal.read(folder)


def _summary(folder: Path, entries: Sequence[Entry]) -> Summary:
    vals = [entry for entry in entries if isinstance(entry, Val)]
    stops = [entry for entry in entries if isinstance(entry, Stop)]
    known = [(val.recall_10, val) for val in vals if val.recall_10 is not None]
    return Summary(
        folder=folder,
        steps=max((entry.step for entry in entries), default=0),
        seconds=sum(entry.seconds or 0.0 for entry in entries if not isinstance(entry, Stop)),
        stop=stops[-1].reason if stops else None,
        frozen=next((val for val in vals if val.step == 0), None),
        best=max(known, key=lambda pair: pair[0])[1] if known else None,
        last=vals[-1] if vals else None,
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@dataclass(frozen=True)
class Moment:
    """A rewrite, for as long as it and its rank stayed as they were."""

    first: int
    last: int
    rewrite: str
    rank: int
    change: Literal["better", "worse", "same", "start"]
    """Against the query's first rank."""


@dataclass(frozen=True)
class History:
    """What became of one query."""

    task: str
    """'' where there is one."""
    query: str
    moments: tuple[Moment, ...]


def _histories(samples: Sequence[Sample]) -> list[History]:
    by_query: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        by_query.setdefault((sample.task, sample.query_id), []).append(sample)
    return [History(task, some[0].query, tuple(_moments(some))) for (task, _), some in by_query.items()]


def _moments(samples: Sequence[Sample]) -> list[Moment]:
    start = samples[0].rank
    moments: list[Moment] = []
    for (rewrite, rank), run in groupby(samples, key=lambda sample: (sample.rewrite, sample.rank)):
        steps = [sample.step for sample in run]
        change: Literal["better", "worse", "same", "start"] = "start"
        if moments:
            change = "better" if rank < start else "worse" if rank > start else "same"
        moments.append(Moment(steps[0], steps[-1], rewrite, rank, change))
    return moments


@dataclass(frozen=True)
class HeadroomTable:
    task: str
    """'' where there is one."""
    columns: list[str]
    rows: list[tuple[str, list[str]]]


def _headroom(folder: Path, task: str) -> HeadroomTable | None:
    """The figures of `grapebench headroom --json`, as a table; None where there are none."""
    path = folder / headroom_file(task)
    if not path.is_file():
        return None
    try:
        found = json.loads(_text(path))
        keys = [key for key in found["raw"] if key != "median_rank"]
        points = [(f"best of {point['k']:d}", point["figures"]) for point in found["points"]]
        rows = [
            (name, [f"{figures[key]:.1%}" for key in keys]) for name, figures in [("raw query", found["raw"]), *points]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError("is not what `grapebench headroom --json` prints", file=path) from error
    return HeadroomTable(task, keys, rows)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise files.explain_os_error(error, path) from error
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8", file=path) from error
