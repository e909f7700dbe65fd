"""What the templates draw: axes, and everything in the pixels of a picture, as text for SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from grapebench.plots import share_reaching

Kind = Literal["linear", "log", "log1p"]


@dataclass(frozen=True)
class Axis:
    """From values to pixels."""

    title: str
    low: float
    high: float
    start: float
    """The pixel of `low`."""
    end: float
    kind: Kind = "linear"
    form: str = "{:g}"
    """How a tick is written."""

    def __call__(self, value: float) -> float:
        low, high, value = (self._scaled(number) for number in (self.low, self.high, value))
        share = (min(max(value, low), high) - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)

    def _scaled(self, value: float) -> float:
        if self.kind == "linear":
            return value
        return math.log10(value if self.kind == "log" else 1 + value)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Pixels and what stands there."""
        if self.kind == "linear":
            step = _round_step((self.high - self.low) / 6)
            first = math.ceil(self.low / step - 1e-9)
            values = [(first + n) * step for n in range(int((self.high - self.low) / step) + 2)]
            values = [value for value in values if value <= self.high + step * 1e-6]
        else:
            values = [0.0] if self.kind == "log1p" else []
            between = (1, 3) if self.kind == "log1p" else (1,)
            values += [n * 10.0**power for power in range(9) for n in between]
            values = [value for value in values if self.low <= value <= self.high]
        return [(self(value), self.form.format(round(value, 9) + 0.0)) for value in values]


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least so much."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= least * (1 - 1e-9))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points)


@dataclass(frozen=True)
class Point:
    label: str
    href: str
    x: float
    y: float
    told: str
    """Both values, for a reader who does not see."""
    front: bool
    """Nothing is at least as good for less."""
    oracle: bool
    side: str = "start"
    """Where its label stands: 'start' (to its right), 'end', or 'none' where it would lie on another."""


@dataclass(frozen=True)
class Scatter:
    """Quality against cost."""

    x: Axis
    y: Axis
    points: tuple[Point, ...]
    front: str


def against_cost(entries: Sequence[tuple[str, str, float, float, bool]], cost: str, figure: str, form: str) -> Scatter:
    """Label, link, cost of a query, figure in percent, and whether it is an oracle, of each rewriter."""
    dearest = max((entry[2] for entry in entries), default=0)
    x = Axis(cost, 0, max(10.0, dearest * 1.3), 52, 540, "log1p", "{:,.0f}")
    y = Axis(f"{figure}, percent", 0, 100, 292, 16)
    found: list[Point] = []
    best = -1.0
    front: list[tuple[float, float]] = []
    # Cheap ones first, of equally cheap ones the best.
    for label, href, spent, value, oracle in sorted(entries, key=lambda entry: (entry[2], -entry[3], entry[0])):
        leads = not oracle and value > best
        if leads:
            front += [(x(spent), y(best)), (x(spent), y(value))] if front else [(x(spent), y(value))]
            best = value
        told = f"{label}: {figure} {value:.1f} percent for {form.format(spent)} {cost}"
        found.append(Point(label, href, x(spent), y(value), told, leads, oracle))
    if front:
        front.append((x.end, y(best)))
    return Scatter(x, y, _labelled(found), _path(front) if len(front) > 1 else "")


def _labelled(points: Sequence[Point]) -> tuple[Point, ...]:
    """Labels where they fit: those of the front first, then the best."""
    boxes = [(p.x - 5, p.y - 5, p.x + 5, p.y + 5) for p in points]
    sides: dict[int, str] = {}
    for place in sorted(range(len(points)), key=lambda place: (not points[place].front, points[place].y)):
        point = points[place]
        width = 6.4 * len(point.label) + 8
        for side, left in (("start", point.x + 6), ("end", point.x - 6 - width)):
            box = (left, point.y - 6, left + width, point.y + 6)
            others = [other for number, other in enumerate(boxes) if number != place]
            if left > 52 and left + width < 640 and not any(_overlap(box, other) for other in others):
                sides[place] = side
                boxes.append(box)
                break
    return tuple(replace(point, side=sides.get(place, "none")) for place, point in enumerate(points))


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@dataclass(frozen=True)
class Curve:
    label: str
    path: str
    values: tuple[float, ...]
    """In percent, at `Curves.shown`."""
    oracle: bool = False
    raw: bool = False


@dataclass(frozen=True)
class Curves:
    """How many queries have their right image among the first K, by K."""

    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    shown: tuple[int, ...]


def recall_curves(entries: Sequence[tuple[str, Sequence[np.ndarray], bool]], raw: np.ndarray, gallery: int,
                  weights: np.ndarray | None) -> Curves:  # fmt: skip
    """Label, ranks `(queries,)` of each seed, and whether it is an oracle; `raw` are the ranks of the raw texts."""
    ks = np.unique(np.round(np.geomspace(1, max(gallery, 2), 60)).astype(int))
    shown = tuple(k for k in (1, 5, 10, 50, 100, 500, 1000, 5000) if k <= gallery)
    x, y = Axis("K: images looked at", 1, max(gallery, 2), 52, 620, "log", "{:,.0f}"), Axis("percent", 0, 100, 292, 16)

    def recall(ranks: Sequence[np.ndarray], levels: np.ndarray) -> list[float]:
        shares = [share_reaching(-one, -levels, weights) for one in ranks]
        return (100 * np.mean(shares, axis=0)).tolist()  # type: ignore[no-any-return]

    def curve(label: str, ranks: Sequence[np.ndarray], **kind: bool) -> Curve:
        path = _path([(x(k), y(value)) for k, value in zip(ks.tolist(), recall(ranks, ks), strict=True)])
        return Curve(label, path, tuple(recall(ranks, np.array(shown))), **kind)

    curves = [curve(label, ranks, oracle=oracle) for label, ranks, oracle in entries]
    return Curves(x, y, (curve("raw query text", [raw], raw=True), *curves), shown)


@dataclass(frozen=True)
class Square:
    x: float
    y: float
    width: float
    height: float
    strength: float
    """From 0 to 1."""
    told: str


@dataclass(frozen=True)
class Heat:
    """Ranks before against ranks after."""

    x: Axis
    y: Axis
    squares: tuple[Square, ...]
    better: int
    same: int
    worse: int


def rank_heat(before: np.ndarray, after: np.ndarray, gallery: int) -> Heat:
    """Both ranks of each query `(queries,)`; a missing one counts as last."""
    top = max(float(gallery), 2.0)
    edges = np.unique(np.round(np.geomspace(1, top + 1, 17)).astype(int))
    x = Axis("rank before", 1, float(edges[-1]), 52, 412, "log", "{:,.0f}")
    y = Axis("rank after", 1, float(edges[-1]), 16, 376, "log", "{:,.0f}")
    cells = [np.clip(np.searchsorted(edges, ranks, side="right") - 1, 0, len(edges) - 2) for ranks in (before, after)]
    counts = np.zeros((len(edges) - 1, len(edges) - 1), int)
    np.add.at(counts, tuple(cells), 1)
    squares = []
    for column, row in np.argwhere(counts).tolist():
        count = int(counts[column, row])
        ranges = [_range(edges, place) for place in (column, row)]
        left, right, upper, lower = x(edges[column]), x(edges[column + 1]), y(edges[row]), y(edges[row + 1])
        squares.append(
            Square(
                left, upper, round(right - left, 1), round(lower - upper, 1),
                round(0.12 + 0.88 * math.sqrt(count / counts.max()), 3),
                f"{count:,} queries from rank {ranges[0]} to rank {ranges[1]}",
            )
        )  # fmt: skip
    better, worse = int(np.count_nonzero(after < before)), int(np.count_nonzero(after > before))
    return Heat(x, y, tuple(squares), better, len(after) - better - worse, worse)


def _range(edges: np.ndarray, place: int) -> str:
    first, last = int(edges[place]), int(edges[place + 1]) - 1
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


@dataclass(frozen=True)
class Area:
    path: str
    mean: float
    """The pixel of the mean."""
    value: float


@dataclass(frozen=True)
class Panel:
    title: str
    top: float
    bottom: float
    positive: Area
    others: Area

    @property
    def gap(self) -> float:
        """Mean cosine to the positive, minus that to the top others."""
        return self.positive.value - self.others.value


@dataclass(frozen=True)
class Histograms:
    """Cosines to the right image and to the nearest others, before over after."""

    x: Axis
    panels: tuple[Panel, ...]


def histograms(values: dict[str, np.ndarray]) -> Histograms | None:
    """`positive`, `top_others`, each with `_before` too: `(queries,)`, NaN where unknown; None without any."""
    known = {name: one[np.isfinite(one)] for name, one in values.items()}
    if any(not len(one) for one in known.values()):
        return None
    low = math.floor(10 * min(float(one.min()) for one in known.values())) / 10
    high = max(math.ceil(10 * max(float(one.max()) for one in known.values())) / 10, low + 0.1)
    edges = np.linspace(low, high, 51)
    x = Axis("cosine", low, high, 20, 620)
    counts = {name: np.histogram(one, edges)[0] / len(one) for name, one in known.items()}
    tallest = max(float(one.max()) for one in counts.values())
    panels = []
    for title, suffix, top in (("Before", "_before", 22), ("After", "", 172)):
        bottom = top + 118

        def area(name: str, bottom: float = bottom) -> Area:
            points = [(x(low), bottom)]
            for place, share in enumerate(counts[name].tolist()):
                height = round(bottom - 110 * share / tallest, 1)
                points += [(x(edges[place]), height), (x(edges[place + 1]), height)]
            mean = float(known[name].mean())
            return Area(_path([*points, (x(high), bottom)]) + "Z", x(mean), mean)

        panels.append(Panel(title, top, bottom, area(f"positive{suffix}"), area(f"top_others{suffix}")))
    return Histograms(x, tuple(panels))


@dataclass(frozen=True)
class Pair:
    label: str
    y: float
    positive: float
    others: float
    values: tuple[float, float, float]
    """Cosine to the positive, to the top others, and the margin."""
    main: str
    raw: bool = False


@dataclass(frozen=True)
class Pairs:
    """Mean cosines to the right image and to the nearest others, one rewriter a line."""

    x: Axis
    pairs: tuple[Pair, ...]
    height: float


def cosine_pairs(entries: Sequence[tuple[str, float, float, float, str, bool]]) -> Pairs:
    """Label, cosine to the positive, to the top others, margin, the main figure, and whether it is the raw text."""
    ends = [value for entry in entries for value in entry[1:3]]
    low, high = math.floor(10 * min(ends)) / 10, math.ceil(10 * max(ends)) / 10
    x = Axis("mean cosine", low, max(high, low + 0.1), 180, 620)
    pairs = [
        Pair(label, 22 + 20 * place, x(positive), x(others), (positive, others, margin), main, raw)
        for place, (label, positive, others, margin, main, raw) in enumerate(entries)
    ]
    return Pairs(x, tuple(pairs), 20 * len(pairs) + 62)
