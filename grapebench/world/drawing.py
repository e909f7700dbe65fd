"""Draws a scene of the miniature world. Integers only: the same scene has the same pixels on every machine."""

from __future__ import annotations

import hashlib
import io
from functools import cache

import numpy as np
import numpy.typing as npt

from grapebench.errors import UserError
from grapebench.world.content import Scene, Thing
from grapebench.world.shapes import OUTLINE, SUPERSAMPLING, masks, side

Pixels = npt.NDArray[np.uint8]
Grid = npt.NDArray[np.int64]
Colour = tuple[int, int, int]
Scenery = tuple[Colour, list[tuple[npt.NDArray[np.bool_], Colour]]]
"""A background's ground colour, and what is painted over it in turn."""

CANVAS = 64
CELL = 32

RGB: dict[str, Colour] = {
    "red": (218, 28, 36),
    "orange": (255, 128, 0),
    "yellow": (255, 226, 20),
    "green": (16, 132, 44),
    "blue": (28, 64, 214),
    "purple": (132, 36, 172),
    "pink": (255, 136, 196),
    "brown": (116, 62, 22),
    "black": (22, 22, 26),
    "white": (250, 250, 250),
    "grey": (134, 134, 138),
    "turquoise": (24, 204, 190),
}
DARK, LIGHT = (18, 18, 24), (244, 244, 250)

_TONE_JITTER = (5, 3, 3, 3)
"""At most so much lighter or darker as a whole, then in red, green and blue: hue moves less than lightness."""
_PLACE_JITTER = 3


def draw(scene: Scene) -> Pixels:
    """The picture of a scene: uint8 (64, 64, 3).

    Place, tone and background are varied a little by a hash of what stands where, so equal scenes look the same and
    the order in which a scene names its things changes nothing. Each thing keeps to its own 32 × 32 cell. A thing with
    an attribute left out is a UserError.
    """
    standing = sorted(zip(scene.cells, scene.things, strict=True), key=lambda pair: pair[0])
    chance = hashlib.sha256(_canonical(scene.background, standing).encode()).digest()
    picture = np.roll(_background(scene.background), chance[0] % CANVAS, axis=1)
    outline = LIGHT if scene.background == "night" else DARK
    for number, (cell, thing) in enumerate(standing):
        _put(picture, cell, thing, outline, chance[1 + 6 * number : 7 + 6 * number])
    return picture.astype(np.uint8)


def png(pixels: Pixels) -> bytes:
    """The picture as a PNG file's bytes: lossless, little compressed because speed matters more."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _canonical(background: str, standing: list[tuple[int, Thing]]) -> str:
    parts = [f"{cell} {thing.shape} {thing.colour} {thing.size} {thing.texture}" for cell, thing in standing]
    return "; ".join([background, *parts])


def _put(picture: npt.NDArray[np.int32], cell: int, thing: Thing, outline: Colour, chance: bytes) -> None:
    """Draw one thing into its cell; `chance` holds six bytes: two for the place, four for the tone."""
    if thing.colour is None or thing.size is None or thing.texture is None:
        raise UserError(f"the {thing.shape} cannot be drawn: its colour, size or texture is not said")
    width = side(thing.size)
    slack = CELL - width
    jitter = min(2 * _PLACE_JITTER, slack)
    row, column = divmod(cell, 2)
    top = row * CELL + (slack - jitter) // 2 + chance[0] % (jitter + 1)
    left = column * CELL + (slack - jitter) // 2 + chance[1] % (jitter + 1)
    behind, weights = _layers(thing.shape, thing.size, thing.texture)
    patch = picture[top : top + width, left : left + width]
    patch *= behind
    patch += weights @ _inks(thing.colour, outline, chance[2:6])
    patch += SUPERSAMPLING**2 // 2
    patch //= SUPERSAMPLING**2


def _inks(colour: str, outline: Colour, chance: bytes) -> npt.NDArray[np.int32]:
    """The four inks of a thing, int32 (4, 3): its outline, colour, texture and detail."""
    lighter, *shifts = (byte % (2 * span + 1) - span for byte, span in zip(chance, _TONE_JITTER, strict=True))
    base = [min(255, max(0, c + lighter + shift)) for c, shift in zip(RGB[colour], shifts, strict=True)]
    texture, detail = _MARKS[colour]
    return np.array([outline, base, _mixed(base, *texture), _mixed(base, *detail)], dtype=np.int32)


def _mixed(base: list[int], other: Colour, percent: int) -> list[int]:
    return [(b * (100 - percent) + o * percent) // 100 for b, o in zip(base, other, strict=True)]


def _luminance(colour: Colour) -> int:
    return (299 * colour[0] + 587 * colour[1] + 114 * colour[2]) // 1000


def _marks(colour: Colour) -> tuple[tuple[Colour, int], tuple[Colour, int]]:
    """What a colour is mixed with for its texture and for its detail.

    Only the palest colours get a darker texture: darkened orange would be brown, and darkened grey black.
    """
    luminance = _luminance(colour)
    texture = (DARK, 46) if luminance > 155 else (LIGHT, 60) if luminance > 105 else (LIGHT, 48)
    return texture, (DARK, 82) if luminance > 105 else (LIGHT, 84)


_MARKS = {name: _marks(colour) for name, colour in RGB.items()}


@cache
def _layers(shape: str, size: str, texture: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """How many of a pixel's 16 samples show what lies behind (side, side, 1), and each ink (side, side, 4)."""
    sampled = masks(shape, size)
    marked = sampled.body & _texture(texture, size) & ~sampled.detail
    plain = sampled.body & ~marked & ~sampled.detail
    inks = [_counted(mask) for mask in (sampled.outline, plain, marked, sampled.detail)]
    weights = np.stack(inks, axis=-1)
    behind = SUPERSAMPLING**2 - weights.sum(axis=-1, keepdims=True, dtype=np.int32)
    behind.flags.writeable = weights.flags.writeable = False
    return behind, weights


def _counted(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """The samples of a mask in each pixel, int32, 0 to 16."""
    across = mask.shape[0] // SUPERSAMPLING
    counts: npt.NDArray[np.int32] = mask.reshape(across, SUPERSAMPLING, across, SUPERSAMPLING).sum((1, 3), np.int32)
    return counts


def _texture(texture: str, size: str) -> npt.NDArray[np.bool_]:
    """Where a texture's marks lie, bool, one value a sample; stripes and checks keep to whole pixels, to stay crisp."""
    large = size == "large"
    y, x = _grid(SUPERSAMPLING * side(size), -OUTLINE * SUPERSAMPLING)
    marks = np.zeros(x.shape, dtype=bool)
    if texture == "striped":
        width = 3 if large else 2
        marks |= (x // SUPERSAMPLING + y // SUPERSAMPLING) % (2 * width) < width
    elif texture == "checked":
        edge = SUPERSAMPLING * (4 if large else 3)
        marks |= (x // edge + y // edge) % 2 == 0
    elif texture == "dotted":
        # Four rows of four dots: none lies in the middle, where the details of many shapes are.
        period, radius = (27, 8) if large else (16, 5)
        across, down = 2 * (x % period) + 1 - period, 2 * (y % period) + 1 - period
        marks |= across * across + down * down <= 4 * radius * radius
    return marks


def _grid(width: int, start: int = 0) -> tuple[Grid, Grid]:
    """The rows and the columns of a square grid, int64 (width, width) each, counted from `start`."""
    line = np.arange(start, start + width, dtype=np.int64)
    return line[:, None].repeat(width, axis=1), line[None, :].repeat(width, axis=0)


@cache
def _background(name: str) -> npt.NDArray[np.int32]:
    """A background, int32 (64, 64, 3), which repeats seamlessly to the sides."""
    y, x = _grid(CANVAS)
    noise = ((x * 7919 + y * 104729) ^ (x * y * 31 + 17)) * 2654435761 % (1 << 32) >> 16
    base, layers = _SCENERY[name](x, y, noise)
    picture = np.empty((CANVAS, CANVAS, 3), dtype=np.int32)
    picture[:] = base
    for where, colour in layers:
        picture[where] = colour
    picture.flags.writeable = False
    return picture


def _puff(x: Grid, y: Grid, cx: int, cy: int, rx: int, ry: int) -> npt.NDArray[np.bool_]:
    across = (x - cx + CANVAS // 2) % CANVAS - CANVAS // 2
    return (across * ry) ** 2 + ((y - cy) * rx) ** 2 <= (rx * ry) ** 2


def _wave(x: Grid, period: int, height: int) -> Grid:
    """A triangle wave between 0 and `height`."""
    half = period // 2
    return np.abs(x % period - half) * height // half


def _sky(x: Grid, y: Grid, noise: Grid) -> Scenery:
    clouds = _puff(x, y, 14, 13, 11, 4) | _puff(x, y, 18, 9, 6, 5) | _puff(x, y, 46, 36, 12, 4)
    clouds |= _puff(x, y, 42, 32, 6, 5) | _puff(x, y, 12, 56, 10, 4)
    return (158, 208, 246), [(clouds, (238, 246, 252))]


def _grass(x: Grid, y: Grid, noise: Grid) -> Scenery:
    blades = ((x + 3 * (y // 8)) % 8 == 2) & (y % 8 < 5) | ((x + 3 * (y // 8)) % 8 == 4) & (y % 8 > 1) & (y % 8 < 6)
    return (150, 206, 96), [(blades, (112, 176, 64))]


def _sand(x: Grid, y: Grid, noise: Grid) -> Scenery:
    return (240, 222, 168), [(noise % 9 == 0, (214, 186, 122)), (noise % 23 == 1, (255, 244, 210))]


def _snow(x: Grid, y: Grid, noise: Grid) -> Scenery:
    u, v = (x + 8 * (y // 16 % 2)) % 16, y % 16
    flakes = (u == 5) & (np.abs(v - 5) < 3) | (v == 5) & (np.abs(u - 5) < 3)
    return (236, 242, 250), [(flakes, (200, 216, 238))]


def _night(x: Grid, y: Grid, noise: Grid) -> Scenery:
    stars = noise % 61 == 0
    return (24, 26, 74), [(stars, (250, 240, 170)), (noise % 97 == 5, (120, 124, 190))]


def _water(x: Grid, y: Grid, noise: Grid) -> Scenery:
    crest = (y + _wave(x, 16, 4)) % 8
    return (84, 150, 200), [(crest == 0, (164, 212, 238)), (crest == 1, (124, 184, 222))]


def _wall(x: Grid, y: Grid, noise: Grid) -> Scenery:
    mortar = (y % 8 == 0) | ((x + 8 * (y // 8 % 2)) % 16 == 0)
    return (206, 142, 122), [(mortar, (236, 222, 210))]


def _wood(x: Grid, y: Grid, noise: Grid) -> Scenery:
    grain = (y * 2 + _wave(x + 7 * (y // 16), 32, 5)) % 11 < 2
    return (204, 162, 104), [(grain, (184, 138, 82)), (y % 16 == 15, (128, 86, 44))]


_SCENERY = {
    "sky": _sky,
    "grass": _grass,
    "sand": _sand,
    "snow": _snow,
    "night": _night,
    "water": _water,
    "wall": _wall,
    "wood": _wood,
}
