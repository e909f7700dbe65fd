"""The silhouettes of the miniature's twenty shapes, in integers only, so that every machine draws the same bits.

A shape is designed in a box from −100 to 100 (x to the right, y down) and sampled at 4 × 4 points a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from itertools import pairwise
from operator import or_

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Point = tuple[int, int]

PIXELS = {"small": 15, "large": 27}
SUPERSAMPLING = 4
OUTLINE = 1
"""Width of the outline in pixels; it lies outside the silhouette."""


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The sample points of one size. Points are multiplied by `scale` so that no division is ever needed."""

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    scale: int

    def nothing(self) -> Mask:
        return np.zeros((self.y.size, self.x.size), dtype=bool)

    def ellipse(self, cx: int, cy: int, rx: int, ry: int) -> Mask:
        across, down = (self.x - cx * self.scale) * ry, (self.y - cy * self.scale) * rx
        return across * across + down * down <= (rx * ry * self.scale) ** 2

    def disc(self, cx: int, cy: int, radius: int) -> Mask:
        return self.ellipse(cx, cy, radius, radius)

    def box(self, left: int, top: int, right: int, bottom: int) -> Mask:
        scale = self.scale
        return (
            (self.x >= left * scale) & (self.x <= right * scale) & (self.y >= top * scale) & (self.y <= bottom * scale)
        )

    def polygon(self, *points: Point) -> Mask:
        """Inside by the even-odd rule; the sign of a cross product says on which side of an edge a sample lies."""
        inside = self.nothing()
        for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
            if ay == by:
                continue
            spans = (ay * self.scale <= self.y) != (by * self.scale <= self.y)
            side = (bx - ax) * (self.y - ay * self.scale) - (self.x - ax * self.scale) * (by - ay)
            inside ^= spans & ((side > 0) if by > ay else (side < 0))
        return inside

    def line(self, radius: int, *points: Point) -> Mask:
        """A polyline with round ends and joints, `2 * radius` wide."""
        found = [self.disc(*point, radius) for point in points]
        for (ax, ay), (bx, by) in pairwise(points):
            dx, dy = bx - ax, by - ay
            px, py = self.x - ax * self.scale, self.y - ay * self.scale
            along, across, length = px * dx + py * dy, px * dy - py * dx, dx * dx + dy * dy
            beside = across * across <= radius * radius * length * self.scale * self.scale
            found.append(beside & (along >= 0) & (along <= length * self.scale))
        return reduce(or_, found)


Drawn = tuple[Mask, Mask]
"""The silhouette and the marks inside it."""


def _plain(body: Mask) -> Drawn:
    return body, np.zeros_like(body)


def _circle(p: Plane) -> Drawn:
    return _plain(p.disc(0, 0, 98))


def _square(p: Plane) -> Drawn:
    return _plain(p.box(-92, -92, 92, 92))


def _triangle(p: Plane) -> Drawn:
    return _plain(p.polygon((0, -98), (100, 86), (-100, 86)))


def _star(p: Plane) -> Drawn:
    right = ((0, -99), (25, -29), (100, -26), (41, 19), (62, 91), (0, 49))
    left = [(-x, y) for x, y in right[-2:0:-1]]
    return _plain(p.polygon(*right, *left))


def _heart(p: Plane) -> Drawn:
    point = p.polygon((-94, -12), (-60, -40), (0, -40), (60, -40), (94, -12), (0, 98))
    return _plain(p.disc(-50, -42, 50) | p.disc(50, -42, 50) | point)


def _moon(p: Plane) -> Drawn:
    return _plain(p.disc(8, 0, 98) & ~p.disc(52, -14, 82))


def _cross(p: Plane) -> Drawn:
    return _plain(p.box(-32, -98, 32, 98) | p.box(-98, -32, 98, 32))


def _ring(p: Plane) -> Drawn:
    return _plain(p.disc(0, 0, 98) & ~p.disc(0, 0, 52))


def _arrow(p: Plane) -> Drawn:
    return _plain(p.polygon((-98, -28), (4, -28), (4, -82), (99, 0), (4, 82), (4, 28), (-98, 28)))


def _house(p: Plane) -> Drawn:
    roof = p.polygon((0, -96), (99, -8), (-99, -8))
    body = roof | p.box(-72, -10, 72, 96) | p.box(38, -92, 66, -30)
    return body, p.box(-50, 36, -8, 96) | p.box(20, 22, 54, 56) | p.box(-72, -14, 72, -3)


def _tree(p: Plane) -> Drawn:
    lobes = ((0, -60, 38), (-46, -38, 36), (46, -38, 36), (-62, 4, 36), (62, 4, 36), (-24, 16, 36), (24, 16, 36))
    crown = reduce(or_, [p.disc(*lobe) for lobe in lobes]) | p.disc(0, -20, 40)
    trunk = p.polygon((-13, 20), (13, 20), (17, 84), (34, 99), (-34, 99), (-17, 84))
    branches = p.line(6, (-34, -10), (0, 26), (0, -24)) | p.line(6, (0, 26), (34, -10))
    return crown | trunk, (trunk & ~crown) | branches | p.box(-11, 22, 11, 60)


def _fish(p: Plane) -> Drawn:
    body = p.ellipse(-26, 4, 73, 56) | p.polygon((28, 4), (99, -58), (82, 4), (99, 66))
    fin = p.polygon((-44, -42), (8, -86), (22, -30))
    gill = p.disc(-92, 4, 66) & ~p.disc(-100, 4, 64) & p.box(-60, -36, 0, 44)
    return body | fin, p.disc(-66, -10, 11) | gill


def _lantern(p: Plane) -> Drawn:
    bulb = p.ellipse(0, -16, 88, 58)
    caps = p.box(-36, -80, 36, -64) | p.box(-36, 34, 36, 50)
    hook = p.line(6, (0, -93), (0, -78))
    tassel = p.line(6, (0, 50), (0, 93)) | p.line(6, (-20, 50), (-20, 84)) | p.line(6, (20, 50), (20, 84))
    ribs = p.ellipse(0, -16, 50, 60) & ~p.ellipse(0, -16, 39, 60)
    return bulb | caps | hook | tassel, caps | (ribs & bulb)


def _kite(p: Plane) -> Drawn:
    sail = p.polygon((0, -99), (72, -38), (0, 46), (-72, -38))
    tail = p.line(6, (0, 44), (14, 60), (-8, 78), (8, 94))
    bows = p.polygon((8, 64), (44, 46), (44, 82)) | p.polygon((8, 64), (-28, 46), (-28, 82))
    spars = p.line(5, (0, -90), (0, 40)) | p.line(5, (-66, -38), (66, -38))
    return sail | tail | bows, spars & sail


def _fan(p: Plane) -> Drawn:
    wedge = p.polygon((0, 76), (-200, -17), (-200, -200), (200, -200), (200, -17))
    sheet = wedge & p.disc(0, 76, 109) & ~p.disc(0, 76, 46) & p.box(-100, -100, 100, 100)
    tips = ((-98, 30), (-77, -1), (-42, -25), (0, -33), (42, -25), (77, -1), (98, 30))
    sticks = reduce(or_, [p.line(4, (0, 76), tip) for tip in tips])
    frame = p.line(8, (-92, 33), (0, 78), (92, 33)) | p.disc(0, 78, 14)
    return sheet | frame | (sticks & p.disc(0, 76, 60)), (sticks & sheet) | p.disc(0, 78, 6)


def _teapot(p: Plane) -> Drawn:
    pot = p.ellipse(0, 26, 60, 54) | p.box(-36, 70, 36, 84)
    spout = p.polygon((-40, 56), (-78, 14), (-98, -26), (-76, -34), (-58, -4), (-30, 16))
    handle = p.ellipse(58, 20, 41, 42) & ~p.ellipse(58, 20, 23, 25)
    lid = p.ellipse(0, -26, 40, 22) & p.box(-40, -50, 40, -20)
    return pot | spout | handle | lid | p.disc(0, -58, 14), p.line(5, (-40, -18), (40, -18)) & ~spout


def _drum(p: Plane) -> Drawn:
    skin = p.ellipse(0, -22, 88, 26)
    barrel = p.box(-88, -22, 88, 64) | p.ellipse(0, 64, 88, 30) | skin
    sticks = p.line(7, (-84, -90), (10, -34)) | p.line(7, (84, -90), (-10, -34))
    rim = skin & ~p.ellipse(0, -22, 77, 17)
    hoop = p.ellipse(0, 58, 88, 30) & ~p.ellipse(0, 47, 88, 30) & p.box(-88, 50, 88, 100)
    lacing = p.line(5, (-84, -6), (-42, 76), (0, 8), (42, 76), (84, -6))
    return barrel | sticks, (rim | hoop | lacing | (sticks & skin)) & barrel


def _gourd(p: Plane) -> Drawn:
    body = p.disc(0, 38, 60) | p.disc(0, -38, 40) | p.box(-26, -20, 26, 10)
    stem = p.line(8, (0, -76), (4, -86), (20, -90))
    cord = p.line(6, (-34, -8), (34, -8)) | p.line(6, (2, -6), (22, 26)) | p.line(6, (-2, -6), (-16, 26))
    return body | stem | p.line(7, (-34, -8), (34, -8)), cord | (stem & ~p.disc(0, -38, 40))


def _pagoda(p: Plane) -> Drawn:
    body = p.line(5, (0, -94), (0, -70)) | p.box(-82, 88, 82, 99)
    marks = p.box(-15, 62, 15, 99)
    for top, half, wall in ((-78, 58, 34), (-22, 78, 50), (34, 98, 66)):
        eaves = top + 26
        curve = (half * 5 // 8, eaves - 9), (half, eaves - 16), (half - 5, eaves)
        left = [(-x, y) for x, y in reversed(curve)]
        body |= p.polygon((half // 3, top), *curve, *left, (-half // 3, top)) | p.box(-wall, eaves, wall, eaves + 34)
        marks |= p.box(-wall, eaves, wall, eaves + 10)
    return body, marks


def _umbrella(p: Plane) -> Drawn:
    dome = p.ellipse(0, 8, 98, 92) & p.box(-100, -100, 100, 8)
    for centre in (-66, 0, 66):
        dome &= ~p.ellipse(centre, 12, 32, 22)
    shaft = p.line(7, (0, -92), (0, 72))
    crook = p.disc(-19, 73, 26) & ~p.disc(-19, 73, 12) & p.box(-60, 72, 60, 100)
    seams = p.ellipse(0, 8, 38, 92) & ~p.ellipse(0, 8, 28, 86)
    return dome | shaft | crook, (seams & dome) | (shaft & ~dome & p.box(-20, -20, 20, 60))


_DRAWN: dict[str, Callable[[Plane], Drawn]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "moon": _moon,
    "cross": _cross,
    "ring": _ring,
    "arrow": _arrow,
    "house": _house,
    "tree": _tree,
    "fish": _fish,
    "lantern": _lantern,
    "kite": _kite,
    "fan": _fan,
    "teapot": _teapot,
    "drum": _drum,
    "gourd": _gourd,
    "pagoda": _pagoda,
    "umbrella": _umbrella,
}


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """One shape at one size, sampled: bool arrays (4 · side, 4 · side), where side counts pixels with the outline.

    `detail` lies within `body`; `outline` is what a pen of one pixel draws around `body`, and overlaps neither.
    """

    body: Mask
    detail: Mask
    outline: Mask


def side(size: str) -> int:
    """Pixels along one side of the square a thing needs, outline included."""
    return PIXELS[size] + 2 * OUTLINE


@cache
def masks(shape: str, size: str) -> Masks:
    """The sampled masks of a shape; made once for each shape and size."""
    samples = SUPERSAMPLING * side(size)
    middle = (2 * np.arange(samples, dtype=np.int64) + 1 - samples) * 100
    body, detail = _DRAWN[shape](Plane(middle[None, :], middle[:, None], SUPERSAMPLING * PIXELS[size]))
    body = np.broadcast_to(body, (samples, samples)).copy()
    return Masks(body, detail & body, _grown(body) & ~body)


def _grown(body: Mask) -> Mask:
    """The mask and all samples within the outline's width of it."""
    reach = SUPERSAMPLING * OUTLINE
    samples = body.shape[0]
    padded = np.pad(body, reach)
    grown = np.zeros_like(body)
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            if down * down + across * across <= reach * reach:
                top, left = reach + down, reach + across
                grown |= padded[top : top + samples, left : left + samples]
    return grown
