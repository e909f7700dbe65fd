"""A training's curves as inline SVG, drawn with matplotlib (the extra `plots`).

Colours are CSS variables, so that the page chooses them for a light or a dark screen, and text stays text. Curves of
one plot differ in dashes and marks as well.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from grapebench.errors import missing_extra
from grapebench.training.journal import Entry, Step, Val

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 300
"""More steps than this are drawn as means over several."""

_INK, _GRID, _CARD, _SERIES = "#102030", "#102031", "#102032", ("#102033", "#102034", "#102035")
_VARIABLES = {_INK: "currentColor", _GRID: "var(--grid)", _CARD: "var(--card)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(_SERIES, start=1)
}
_DASHES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")
_MARKS = ("o", "s", "^")
_ROUND = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Plot:
    """What one plot shows."""

    title: str
    unit: str
    fields: dict[str, str]
    """Names of a record's fields and what they are called."""
    about: str = ""
    spread: str | None = None
    """Drawn as a band, ± around the first field."""
    percent: bool = False
    logarithmic: bool = False
    levels: bool = False
    """The frozen model's values are drawn across."""
    least: float | None = None
    """The vertical axis starts at 0 and reaches this at least."""


PLOTS = (
    Plot(
        "Recall on val",
        "percent of queries",
        {"recall_10": "R@10", "recall_1": "R@1"},
        "Thin and level: the frozen model. Star: the best checkpoint.",
        percent=True,
        levels=True,
        least=0.1,
    ),
    Plot(
        "Similarity",
        "mean cosine",
        {"positive": "positive", "top_others": "top others", "others": "others"},
        "Score inflation: all of them rise, while margin and recall do not.",
    ),
    Plot("Margin", "positive − best other", {"margin": "margin"}, "Above 0, the positive comes first."),
    Plot("Reward", "reward", {"reward": "mean"}, "Band: the spread within a group.", spread="reward_std"),
    Plot(
        "Groups without spread",
        "percent of groups",
        {"flat_groups": "flat groups"},
        "Nothing is learnt from them.",
        percent=True,
        least=1.0,
    ),
    Plot(
        "Rank of the positive",
        "median rank",
        {"rank_median": "median rank"},
        "In the pool that the reward searches; 1 is best.",
        logarithmic=True,
    ),
    Plot("KL to the reference", "nats a token", {"kl": "KL"}, least=0.01),
    Plot("Entropy", "nats a token", {"entropy": "entropy"}, "Near 0, all attempts at a query are alike.", least=0.1),
    Plot("Length", "tokens", {"length": "length"}, least=1.0),
    Plot(
        "Repetition",
        "percent of word pairs",
        {"repetition": "repetition"},
        "Pairs of neighbouring words that were said before.",
        percent=True,
        least=0.1,
    ),
    Plot(
        "Unusable outputs",
        "percent of outputs",
        {"unusable": "unusable", "cut": "cut off"},
        percent=True,
        least=0.1,
    ),
    Plot(
        "Facts kept",
        "percent of facts",
        {"fact_survival": "fact survival"},
        "Visible facts that the rewrite still says.",
        percent=True,
        least=1.0,
    ),
)


def check() -> None:
    """UserError where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise missing_extra("matplotlib", "plots") from None


def draw(entries: Sequence[Entry], best: Val | None) -> list[tuple[Plot, str]]:
    """Each plot that there are figures for, with its SVG element."""
    steps = [entry for entry in entries if isinstance(entry, Step)]
    vals = [entry for entry in entries if isinstance(entry, Val)]
    last = max((entry.step for entry in entries), default=0)
    wide = width(len(steps), len(vals[-1].tasks) if vals else 0)
    drawn = [(plot, _svg(plot, steps, some, star, last, wide)) for plot, some, star in _plots(vals, best)]
    return [(plot, svg) for plot, svg in drawn if svg is not None]


def _plots(vals: Sequence[Val], best: Val | None) -> Iterator[tuple[Plot, Sequence[Val], Val | None]]:
    """What is drawn, with its validations and the best of them: of several tasks each one's recall too."""
    recall, *others = PLOTS
    tasks = list(vals[-1].tasks) if vals else []
    yield replace(recall, about=f"Mean over the tasks. {recall.about}") if tasks else recall, vals, best
    for task in tasks:
        own = replace(recall, title=f"{recall.title}: {task}", about="Star: the best checkpoint by the mean.")
        yield own, [val.of(task) for val in vals], best and best.of(task)
    for plot in others:
        yield plot, vals, best


def width(steps: int, tasks: int = 0) -> int:
    """Of how many steps a point of a line is the mean: of several tasks each has equally many of them."""
    tasks = max(1, tasks)
    return tasks * max(1, math.ceil(steps / (tasks * MOST_POINTS)))


def thinned(steps: Sequence[int], values: Sequence[float | None], wide: int) -> tuple[list[float], list[float]]:
    """Means over so many neighbours; NaN where nothing is known."""
    parts = [slice(start, start + wide) for start in range(0, len(steps), wide)]
    return [_mean(steps[part]) for part in parts], [_mean(values[part]) for part in parts]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else math.nan


def _svg(plot: Plot, steps: Sequence[Step], vals: Sequence[Val], best: Val | None, last: int, wide: int) -> str | None:
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": plot.title,
        "font.size": 9.5,
        "legend.fontsize": 9,
        **{f"{part}.color": _INK for part in ("text", "xtick", "ytick")},
        "axes.labelcolor": _INK,
        "axes.edgecolor": _GRID,
        "grid.color": _GRID,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(3.9, 2.5), layout="constrained", facecolor="none")
        axes = figure.subplots()
        if not _curves(axes, plot, steps, vals, wide):
            return None
        _mark_best(axes, plot, best)
        _dress(axes, plot, last)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _element(text.getvalue(), plot)


def _curves(axes: Axes, plot: Plot, steps: Sequence[Step], vals: Sequence[Val], wide: int) -> bool:
    """Rollouts as lines, validations as marks that a thin line joins; whether there was any."""
    scale = 100 if plot.percent else 1
    for number, (field, name) in enumerate(plot.fields.items()):
        look: dict[str, Any] = {"color": _SERIES[number], "linestyle": _DASHES[number]}
        places, values = _known(steps, field, scale, wide)
        if places:
            # A line of one point shows nothing.
            dot = "." if len(places) == 1 else ""
            axes.plot(places, values, linewidth=1.1, marker=dot, label=name, zorder=3, **look)
            if plot.spread is not None:
                spread = _known(steps, plot.spread, scale, wide)[1] or [math.nan] * len(values)
                low, high = ([a + sign * b for a, b in zip(values, spread, strict=True)] for sign in (-1, 1))
                axes.fill_between(places, low, high, color=look["color"], alpha=0.2, linewidth=0)
        points = [(val.step, scale * value) for val in vals if (value := getattr(val, field, None)) is not None]
        if points:
            look |= {"marker": _MARKS[number], "markersize": 5.5, "markeredgecolor": _CARD, "clip_on": False}
            axes.plot(*zip(*points, strict=True), linewidth=0.8, label=None if places else name, zorder=4, **look)
            if plot.levels and points[0][0] == 0:
                axes.axhline(points[0][1], color=look["color"], linewidth=0.7, alpha=0.7, zorder=0)
    return axes.has_data()


def _known(steps: Sequence[Step], field: str, scale: float, wide: int) -> tuple[list[float], list[float]]:
    """A field's curve over the steps, empty where nothing is known of it."""
    values: list[float | None] = [getattr(step, field, None) for step in steps]
    if all(value is None for value in values):
        return [], []
    places, means = thinned([step.step for step in steps], values, wide)
    return places, [scale * mean for mean in means]


def _mark_best(axes: Axes, plot: Plot, best: Val | None) -> None:
    if best is None:
        return
    axes.axvline(best.step, color=_INK, linewidth=0.6, alpha=0.5, zorder=0)
    if plot.levels and best.recall_10 is not None:
        axes.plot(best.step, 100 * best.recall_10, "*", ms=13, color=_SERIES[0], mec=_CARD, zorder=5, clip_on=False)


def _dress(axes: Axes, plot: Plot, last: int) -> None:
    from matplotlib.ticker import LogFormatter, MaxNLocator

    axes.set_xlim(0, max(last, 1))
    axes.set_xlabel("step")
    axes.set_ylabel(plot.unit)
    axes.grid(alpha=0.6, linewidth=0.6)
    axes.tick_params(length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_ROUND, integer=True))
    if plot.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.4)))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=_ROUND))
    if plot.least is not None:
        least = plot.least * (100 if plot.percent else 1)
        axes.set_ylim(0, max(axes.get_ylim()[1], least))
    if len(plot.fields) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=3, frameon=False, handlelength=2)


def _element(document: str, plot: Plot) -> str:
    """The element alone, as wide as its place, with the page's colours."""
    text = document[document.index("<svg") :]
    # Who made it, the size that it would have on paper, names that no two elements of a page may share, and fonts.
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    for needless in (r"<metadata>.*?</metadata>\s*", r'(?<=<g) id="[^"]*"', r" font-family: [^;]*;"):
        text = re.sub(needless, "", text, flags=re.DOTALL)
    text = text.replace("<svg", f'<svg role="img" aria-label="{html.escape(plot.title)}"', 1)
    return re.sub("|".join(_VARIABLES), lambda found: _VARIABLES[found[0]], text)
