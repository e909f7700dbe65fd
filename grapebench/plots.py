"""Pictures of results, drawn with matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grapebench.errors import UserError, missing_extra
from grapebench.files import explain_os_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grapebench.evaluation.headroom import Headroom


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
    axes.set_ylabel("percent, with 95 % interval over images")
    axes.set_ylim(-3, 103)
    axes.grid(alpha=0.3)
    axes.set_title(title, fontsize=10)
    axes.legend(loc="best", frameon=False, fontsize=9)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise explain_os_error(error, path) from error
