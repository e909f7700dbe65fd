"""The gallery's pictures as files of the site, named by their content."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from grapebench import files
from grapebench.errors import UserError
from grapebench.records import Gallery

LARGEST = 256
"""Pixels; larger pictures become thumbnails."""
_SHOWN = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "WEBP": ".webp"}
"""What every browser shows, as Pillow calls it; anything else becomes a thumbnail too."""


def write(gallery: Gallery, folder: Path, report: Callable[[int, int], None]) -> tuple[str, ...]:
    """Write every picture of a gallery into `folder`; their file names in gallery order, equal ones once.

    Small pictures are copied as they are. Raises UserError, naming it, where one cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, image in enumerate(gallery.ids):
        content, suffix = _small(gallery.images.read(image), image)
        name = files.sha256(content)[:20] + suffix
        if not (folder / name).exists():
            (folder / name).write_bytes(content)
        names.append(name)
        if number % 50 == 49:
            report(number + 1, len(gallery))
    return tuple(names)


def _small(content: bytes, name: str) -> tuple[bytes, str]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.format in _SHOWN and max(picture.size) <= LARGEST:
                return content, _SHOWN[picture.format]
            small = picture.convert("RGB")
        small.thumbnail((LARGEST, LARGEST))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"the picture {name!r} cannot be read ({error})") from error
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return out.getvalue(), ".jpg"
