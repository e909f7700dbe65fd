"""Encoded images of any kind to what an encoder takes, through open_clip's own preprocessing."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from grapebench.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""As Pillow calls them. Not its others: one of them starts a program on what may come from anywhere."""
THINNEST = 1000
"""Longer side by shorter one: beyond it, scaling the shorter side to a model's input makes gigabytes of the other."""


def decode(data: bytes, name: str, preprocess: Callable[[Image], T]) -> T:
    """The first frame of an image file, preprocessed. Raises UserError, with the image's name, where that fails.

    All is left to open_clip's own pipeline, so that vectors are those that its users get: EXIF orientation is not
    applied, transparency is dropped and not composited, CMYK and palettes become RGB after scaling. Only greyscale
    of 16 bits is scaled to 8 first: turned into RGB as it is, everything brighter than 255 of 65,535 would be white.
    """
    from PIL import UnidentifiedImageError
    from PIL.Image import open as open_image

    try:
        if not data:
            raise ValueError("the file is empty")
        with open_image(io.BytesIO(data), formats=_formats()) as image:
            width, height = image.size
            if not 0 < max(width, height) <= THINNEST * min(width, height):
                raise ValueError(f"{width} x {height} pixels are too long and thin")
            return preprocess(_eight_bits(image))
    except UnidentifiedImageError as error:
        raise _undecodable(name, f"it is damaged, or none of {', '.join(_formats())}") from error
    except Exception as error:  # on damaged files Pillow raises whatever their bytes come to
        raise _undecodable(name, str(error) or type(error).__name__) from error


def _undecodable(name: str, why: str) -> UserError:
    return UserError(f"image {name!r} cannot be decoded: {why}")


@cache
def _formats() -> list[str]:
    """Those that this Pillow can read."""
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _eight_bits(image: Image) -> Image:
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, which have no known white")
    if not image.mode.startswith("I"):
        return image
    from PIL.Image import fromarray

    pixels: np.ndarray[Any, Any] = np.asarray(image)
    if not 0 <= pixels.min() <= pixels.max() < 2**16:
        raise ValueError("its pixels are numbers of more than 16 bits, which have no known white")
    return fromarray((pixels >> 8).astype(np.uint8))
