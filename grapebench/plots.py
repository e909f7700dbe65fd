"""Pictures of results, drawn with matplotlib (the extra `plots`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grapebench.errors import UserError, missing_extra
from grapebench.evaluation.protocols import protocol_named
from grapebench.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from grapebench.evaluation.compare import Comparison, Scored
    from grapebench.evaluation.headroom import Headroom
    from grapebench.leaderboard.results import Result

_BLUE, _ORANGE = "#0072B2", "#D55E00"
_COLOURS = (_BLUE, _ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of Okabe and Ito, which the colour-blind tell apart."""
_DASHES = ("-", "--", "-.")
_LEVELS = 200
_BINS = 50


def check(path: Path) -> None:
    """UserError where a picture could not be written, before the work is done that it would show."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError:
        raise missing_extra("matplotlib", "plots") from None
    # matplotlib's own list: png, pdf, svg, …
    known = sorted(FigureCanvasAgg.get_supported_filetypes())
    if path.suffix.lstrip(".").lower() not in known:
        raise UserError("a picture's name ends in its format", file=path, fix=f"such as {path.stem}.png or .svg")
    if not path.parent.is_dir():
        raise UserError("no such folder", file=path.parent)


def share_reaching(goodness: np.ndarray, levels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The share of queries at least as good as each of the `(levels,)`, as fractions.

    `goodness` and `weights` are `(queries,)`. Of minus the ranks and the level -K it is the share whose right image is
    among the first K.
    """
    found: np.ndarray = np.average(goodness[:, None] >= levels, axis=0, weights=weights)
    return found


def rank_edges(gallery: int) -> np.ndarray:
    """Whole numbers from 1 to the gallery's size + 1, about equally far apart on a logarithmic axis."""
    return np.unique(np.round(np.geomspace(1, max(gallery, 2) + 1, 25)).astype(int))


def cells(base: np.ndarray, other: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many queries lie in each cell of two figures `(queries,)`, `(base's bins, other's bins)`.

    A bin holds its lower edge, and the last both; what lies beyond the last edge, as a miss may, counts in its bin.
    """
    first, second = (np.clip(one, edges[0], edges[-1]) for one in (base, other))
    found: np.ndarray = np.histogram2d(first, second, bins=[edges, edges])[0]
    return found


def draw_comparison(base: Scored, found: Sequence[Comparison], path: Path) -> None:
    """Each query with the baseline against each of the others, and how many queries each answers how well."""
    from matplotlib.figure import Figure

    one = base.result
    ranked = _ranked(one)
    names = _names([base, *(comparison.other for comparison in found)])
    columns = min(len(found) + 1, 3)
    rows = math.ceil((len(found) + 1) / columns)
    figure = Figure(figsize=(4.9 * columns, 4.7 * rows + 0.3), layout="constrained")
    figure.suptitle(_plain(f"{_where(one)} · {one.queries:,} queries"), fontsize=11)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    sides = [base, *(comparison.other for comparison in found)]
    edges = rank_edges(one.gallery) if ranked else np.linspace(0, _highest(side.goodness for side in sides), 26)
    sign = -1 if ranked else 1
    counts = [cells(sign * base.goodness, sign * comparison.other.goodness, edges) for comparison in found]
    most = max(float(table.max()) for table in counts)
    for axes, comparison, name, table in zip(panels, found, names[1:], counts, strict=False):
        _draw_cells(axes, table, edges, most)
        _label_cells(axes, comparison, (names[0], name), ranked)
    curves = [(name, one.goodness, one.weights) for name, one in zip(names, sides, strict=True)]
    _draw_shares(panels[len(found)], curves, one.gallery, ranked)
    panels[len(found)].set_box_aspect(1)
    for axes in panels[len(found) + 1 :]:
        axes.set_axis_off()
    _save(figure, path)


def _where(one: Result) -> str:
    return f"{one.task} ({one.suite}) {one.split} · protocol {one.protocol} · {one.retriever.name}"


def _ranked(result: Result) -> bool:
    """Whether one image answers a query, and not a whole category."""
    return protocol_named(result.protocol).relevance != "category"


def _names(sides: Sequence[Scored]) -> list[str]:
    """The rewriters' names; of two namesakes with the beginnings of their ids."""
    plain = [one.result.rewriter.name for one in sides]
    return [name if plain.count(name) == 1 else one.name for name, one in zip(plain, sides, strict=True)]


def _draw_cells(axes: Axes, counts: np.ndarray, edges: np.ndarray, most: float) -> None:
    """Queries by both figures, in one scale of colours up to `most` a cell; on the diagonal nothing changed."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    # Begins well away from white: a single query is to be seen.
    colours = LinearSegmentedColormap.from_list("blues", ["#C6DBEF", _BLUE, "#08203A"])
    drawn = axes.pcolormesh(
        edges, edges, np.ma.masked_equal(counts.T, 0), norm=LogNorm(1, max(most, 2)), cmap=colours, rasterized=True
    )
    axes.plot(edges[[0, -1]], edges[[0, -1]], color="black", linewidth=0.8)
    axes.set_box_aspect(1)
    figure = axes.get_figure()
    assert figure is not None
    figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02, format="{x:,.0f}").set_label("queries")


def _label_cells(axes: Axes, found: Comparison, names: tuple[str, str], ranked: bool) -> None:
    """The better end of the upright axis is at its top, so that what was won stands above the line."""
    what = "rank of the right image" if ranked else "average precision"
    if ranked:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.invert_yaxis()
        _count_ticks(axes, "x", "y")
    else:
        axes.locator_params(nbins=5)
    axes.set_xlabel(_plain(f"{what}, {names[0]}"))
    axes.set_ylabel(_plain(f"{what}, {names[1]}"))
    queries = found.wins + found.ties + found.losses
    won, tied, lost = (f"{100 * count / queries:.1f} %" for count in (found.wins, found.ties, found.losses))
    axes.set_title(_plain(f"{names[1]}: {won} won (above the line),\n{tied} tied, {lost} lost (below it)"), fontsize=10)


def _draw_shares(
    axes: Axes, curves: Sequence[tuple[str, np.ndarray, np.ndarray | None]], gallery: int, ranked: bool
) -> None:
    """Name, goodness and weights of each, the baseline first."""
    if ranked:
        xs = np.unique(np.round(np.geomspace(1, max(gallery, 2), _LEVELS)).astype(int))
    else:
        xs = np.linspace(0, _highest(goodness for _, goodness, _ in curves), _LEVELS)
    styles = [("black", ":"), *((colour, dash) for dash, colour in itertools.product(_DASHES, _COLOURS))]
    for (name, goodness, weights), (colour, dash) in zip(curves, itertools.cycle(styles), strict=False):
        shares = 100 * share_reaching(goodness, -xs if ranked else xs, weights)
        axes.plot(xs, shares, color=colour, linestyle=dash, label=_plain(name), linewidth=1.6)
    macro = curves[0][2] is not None
    axes.set_ylabel("percent of queries" + (", mean over languages" if macro else ""))
    axes.set_ylim(-2, 102)
    axes.grid(alpha=0.3)
    if ranked:
        axes.set_xscale("log")
        axes.set_xlim(1, max(gallery, 2))
        _count_ticks(axes, "x")
        axes.set_xlabel("K: images looked at")
        axes.set_title("Right image found among the first K", fontsize=10)
    else:
        axes.set_xlim(0, xs[-1])
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel("average precision")
        axes.set_title("Queries of at least this average precision", fontsize=10)
    axes.legend(frameon=False, fontsize=9)


def _highest(precisions: Iterable[np.ndarray]) -> float:
    """The end of an axis of average precision: the highest, rounded up to a tenth."""
    return max(math.ceil(10 * max(float(one.max()) for one in precisions)), 1) / 10


def _count_ticks(axes: Axes, *which: str) -> None:
    """1, 10, 100 and not powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axis in (getattr(axes, f"{name}axis") for name in which):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.set_minor_formatter(NullFormatter())


@dataclass(frozen=True)
class Sides:
    """One result's queries before and after rewriting, `(queries,)` each."""

    before: np.ndarray
    """Goodness: see `evaluation.compare.goodness`."""
    after: np.ndarray
    weights: np.ndarray | None
    """How much each query counts in the headline; None where all count the same."""
    cosines: Mapping[str, np.ndarray]
    """`positive` and `top_others`, each with `_before` too; empty where these are not at hand."""


def read_sides(folder: Path, result: Result) -> Sides:
    """UserError where the labels are not public, or the ranks are not there."""
    from grapebench.evaluation import compare
    from grapebench.leaderboard import results, rows

    if not result.labelled:
        raise UserError(
            f"the labels of {result.task} {result.split} are not public: there is nothing to draw", file=folder
        )
    table = rows.ranks(folder)
    found = rows.similarities(folder, table["query_id"]) if (folder / results.SIMILARITIES_FILE).is_file() else {}
    names = [f"{name}{suffix}" for name in ("positive", "top_others") for suffix in ("_before", "")]
    known = all(f"similarity_{name}" in found for name in names)
    return Sides(
        compare.goodness(compare.read_places(table, "_before")),
        compare.goodness(compare.read_places(table)),
        compare.read_queries(folder, result).sheet.weights,
        {name: np.array(found[f"similarity_{name}"], dtype=np.float64) for name in names} if known else {},
    )


def draw_result(result: Result, sides: Sides, path: Path) -> None:
    """How many queries were answered how well before and after, and the similarities that inflation shows in."""
    from matplotlib.figure import Figure

    known = {key: one[np.isfinite(one)] for key, one in sides.cosines.items()}
    shown = bool(known) and all(len(one) for one in known.values())
    figure = Figure(figsize=(10.4 if shown else 5.6, 4.9), layout="constrained")
    name = result.rewriter.name
    figure.suptitle(_plain(f"{name} on {_where(result)} · {result.queries:,} queries"), fontsize=11)
    if shown:
        grid = figure.add_gridspec(2, 2)
        curves, upper = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1])
        lower = figure.add_subplot(grid[1, 1], sharex=upper, sharey=upper)
        low = math.floor(10 * min(float(one.min()) for one in known.values())) / 10
        high = max(math.ceil(10 * max(float(one.max()) for one in known.values())) / 10, low + 0.1)
        edges = np.linspace(low, high, _BINS + 1)
        _draw_cosines(upper, "Before: the raw query text", known["positive_before"], known["top_others_before"], edges)
        _draw_cosines(lower, _plain(f"After: {name}"), known["positive"], known["top_others"], edges)
        upper.tick_params(labelbottom=False)
        lower.set_xlabel("cosine of the query and an image")
    else:
        curves = figure.subplots()
    sheets = [("raw query text", sides.before, sides.weights), (name, sides.after, sides.weights)]
    _draw_shares(curves, sheets, result.gallery, _ranked(result))
    _save(figure, path)


def _draw_cosines(axes: Axes, title: str, positive: np.ndarray, others: np.ndarray, edges: np.ndarray) -> None:
    for label, values, colour, filled in (
        ("right image", positive, _BLUE, True),
        ("ten nearest others", others, _ORANGE, False),
    ):
        shares = 100 * np.histogram(values, edges)[0] / len(values)
        mean = float(values.mean())
        axes.stairs(
            shares, edges, color=colour, fill=filled, alpha=0.45 if filled else 1.0, linewidth=1.4,
            label=f"{label}: mean {mean:.3f}",
        )  # fmt: skip
        axes.axvline(mean, color=colour, linestyle="--", linewidth=1.2)
    gap = float(positive.mean() - others.mean())
    axes.set_title(f"{title} (means apart by {gap:+.3f})", fontsize=10)
    axes.set_ylabel("percent of queries")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left", facecolor="white", edgecolor="none", framealpha=0.85)


def draw_headroom(found: Headroom, keys: Sequence[str], title: str, path: Path) -> None:
    """Best-of-k figures by k, with their 95 % intervals and the raw query's as lines; written to `path`."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    ks = [point.k for point in found.points]
    for number, key in enumerate(keys):
        colour = f"C{number}"
        values = [100 * point.figures[key] for point in found.points]
        low, high = ([100 * point.intervals[key][end] for point in found.points] for end in (0, 1))
        axes.fill_between(ks, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(ks, values, color=colour, marker="o", label=f"{key}, best of k")
        axes.axhline(100 * found.raw[key], color=colour, linestyle="--", linewidth=1, label=f"{key}, raw query")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(ks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels(list(map(str, ks)))
    axes.set_xlabel("k: answers to choose from (an oracle chooses, by the labels)")
    axes.set_ylabel("percent, with 95 % interval over clusters")
    axes.set_ylim(-3, 103)
    axes.grid(alpha=0.3)
    axes.set_title(_plain(title), fontsize=10)
    axes.legend(loc="best", frameon=False, fontsize=9)
    _save(figure, path)


def _plain(text: str) -> str:
    """Names are text of others: no formula begins in them, and none hides from a legend."""
    return text.replace("$", r"\$").lstrip("_") or "–"


def _save(figure: Figure, path: Path) -> None:
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix.lstrip(".").lower())
