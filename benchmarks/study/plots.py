"""The study's pictures, from what has been kept so far."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from study import tables
from study.plan import Part, Run
from study.seeds import Record, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(part: Part, records: Mapping[Run, Record], times: Mapping[str, float], folder: Path) -> list[Path]:
    """The pictures of a part; none where nothing of it is kept, or no frozen model to set it beside."""
    before = tables.frozen(records)
    found = [row for row in tables.rows(part, records) if row.place in before]
    if not found:
        return []
    if part.name == "transfer":
        return [_saved(_transfer, folder / "transfer.png", part, records)]
    if part.name == "answers":
        return [_saved(_answers, folder / "answers.png", part, records, times)] if times else []
    paths = [_saved(_gains, folder / f"{part.name}.png", part, found, before)]
    if part.name in ("rewards", "geometry"):
        paths.append(_saved(_inflation, folder / f"{part.name}-inflation.png", part, found, before))
        paths.append(_saved(_course, folder / f"{part.name}-course.png", part, found))
    return paths


def _saved(drawn: Any, path: Path, *arguments: Any) -> Path:
    from matplotlib.figure import Figure

    from grapebench.files import atomic_file

    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    drawn(figure.subplots(), *arguments)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    return path


def _gains(axes: Axes, part: Part, found: list[Row], before: Mapping[tuple[str, str], Record]) -> None:
    """R@10 over the frozen model's by setting, a colour a task; every seed a point, and their mean."""
    settings = list(dict.fromkeys(row.setting for row in found))
    tasks = list(dict.fromkeys(row.task for row in found))
    for number, task in enumerate(tasks):
        shift = 0.6 * ((number + 0.5) / len(tasks) - 0.5)
        some = [row for row in found if row.task == task]
        xs = [settings.index(row.setting) + shift for row in some]
        base = before[some[0].place]["test"][task]["greedy"]["R@10"]
        for x, row in zip(xs, some, strict=True):
            start = before[row.place]["test"][task]["greedy"]["R@10"]
            points = [100 * (test["R@10"] - start) for test in row.tests]
            axes.plot([x] * len(points), points, ".", color=f"C{number}", alpha=0.4)
        means = [100 * gained.mean for row in some if (gained := tables.gain(row, before, "R@10")) is not None]
        style = "_-" if part.axis else "_"
        axes.plot(xs, means, style, color=f"C{number}", markersize=12, label=f"{task} (frozen {100 * base:.0f})")
    axes.axhline(0, color="grey", linewidth=1)
    axes.set_xticks(
        range(len(settings)), settings, rotation=0 if part.axis else 20, ha="center" if part.axis else "right"
    )
    axes.set_xlabel(part.axis)
    axes.set_ylabel("R@10 over the frozen model, points")
    _finish(axes, part)


def _inflation(axes: Axes, part: Part, found: list[Row], before: Mapping[tuple[str, str], Record]) -> None:
    """What the positive gained against what all others gained: on the diagonal similarity rises for every image."""
    settings = list(dict.fromkeys(row.setting for row in found))
    ends = [0.0]
    for number, setting in enumerate(settings):
        xs, ys = [], []
        for row in (one for one in found if one.setting == setting):
            start = before[row.place]["test"][row.task]["greedy"]
            xs += [test["positive"] - start["positive"] for test in row.tests]
            ys += [test["others"] - start["others"] for test in row.tests]
        axes.plot(xs, ys, "o^sv"[number // 10 % 4], color=f"C{number % 10}", label=setting, alpha=0.8)
        ends += [*xs, *ys]
    line = [min(ends), max(ends)]
    axes.plot(line, line, "--", color="grey", linewidth=1)
    axes.annotate("all images alike", (line[1], line[1]), ha="right", fontsize=8, color="grey")
    axes.set_xlabel("cosine gained with the right image")
    axes.set_ylabel("mean cosine gained with all others")
    _finish(axes, part)


def _course(axes: Axes, part: Part, found: list[Row]) -> None:
    """Similarity and margin from the frozen model (a dot) to the last validation, averaged over tasks and seeds.

    Tests are of the best checkpoint; what comes after it shows here.
    """
    for number, setting in enumerate(dict.fromkeys(row.setting for row in found)):
        courses = [record["val"] for row in found if row.setting == setting for record in row.records]
        length = min(map(len, courses))  # a training that was stopped has fewer
        gains = [
            [[val[figure] - course[0][figure] for figure in ("positive", "margin")] for val in course[:length]]
            for course in courses
        ]
        if length:
            xs, ys = np.mean(gains, axis=0).T
            axes.plot(xs, ys, marker=".", color=f"C{number % 10}", linestyle="-:"[number // 10 % 2], label=setting)
    axes.plot(0, 0, "o", color="black")
    axes.axhline(0, color="grey", linewidth=1)
    axes.set_xlabel("val: cosine gained with the right image")
    axes.set_ylabel("val: margin gained to the nearest other")
    _finish(axes, part)


def _transfer(axes: Axes, part: Part, records: Mapping[Run, Record]) -> None:
    before = tables.frozen(records)
    found = [row for row in tables.crossed(part, records) if row.place in before]
    trained = list(dict.fromkeys(row.task for row in found))
    tasks = list(dict.fromkeys(row.tested_on for row in found))
    values = np.full((len(trained), len(tasks)), np.nan)
    for row in found:
        gained = tables.gain(row, before, "R@10")
        if gained is not None:
            values[trained.index(row.task), tasks.index(row.tested_on)] = 100 * gained.mean
    most = max(1.0, float(np.nanmax(np.abs(values))))
    axes.imshow(values, cmap="RdBu", vmin=-most, vmax=most)
    for (y, x), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.6 * most else "black"
            axes.text(x, y, f"{value:+.1f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(tasks)), tasks, rotation=20, ha="right")
    axes.set_yticks(range(len(trained)), trained)
    axes.set_xlabel("tested on")
    axes.set_ylabel("trained on")
    axes.set_title(f"{part.question}\nR@10 over the frozen model, points", fontsize=10)


def _answers(axes: Axes, part: Part, records: Mapping[Run, Record], times: Mapping[str, float]) -> None:
    """A colour each rewriter: a star for its greedy answer, lines for K sampled ones."""
    found = [row for row in tables.ways(part, records) if tables.milliseconds(row, times) is not None]
    for number, (task, setting) in enumerate(dict.fromkeys((row.task, row.setting) for row in found)):
        for way, style in (("mean", "o-"), ("best", "^:"), ("greedy", "*")):
            some = [row for row in found if (row.task, row.setting) == (task, setting) and row.way.startswith(way)]
            points = [(tables.milliseconds(row, times), y.mean) for row in some if (y := row.spread("R@10"))]
            label = f"{task}, {setting}: {'greedy' if way == 'greedy' else f'{way} of K'}"
            axes.plot([x for x, _ in points], [100 * y for _, y in points], style, color=f"C{number % 10}", label=label)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.set_xlabel("milliseconds of one core a query")
    axes.set_ylabel("R@10, percent")
    _finish(axes, part, aside=True)


def _finish(axes: Axes, part: Part, aside: bool = False) -> None:
    """The legend stands in the picture, or beside it."""
    axes.set_title(part.question, fontsize=10)
    axes.grid(alpha=0.3)
    place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if aside else {"loc": "best"}
    axes.legend(frameon=False, fontsize=8, **place)
