from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from grapebench.errors import UserError
from grapebench.leaderboard.site import pictures
from grapebench.records import Gallery


class Images:
    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents

    def read(self, image_id: str) -> bytes:
        return self.contents[image_id]

    def missing(self, image_ids: object) -> list[str]:
        return []

    def sha256(self, image_ids: object) -> list[str]:
        return []


def encoded(size: tuple[int, int], form: str, colour: str = "red", mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, form)
    return out.getvalue()


def test_small_ones_are_copied_large_and_odd_ones_become_thumbnails(tmp_path: Path) -> None:
    small = encoded((64, 64), "PNG")
    contents = {"a": small, "b": encoded((900, 300), "PNG", mode="RGBA"), "c": encoded((64, 64), "BMP"), "d": small}
    names = pictures.write(Gallery(tuple(contents), Images(contents)), tmp_path, lambda done, total: None)
    assert names[0] == names[3], "equal pictures are written once"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(set(names))
    assert (tmp_path / names[0]).read_bytes() == small
    sizes = {}
    for key, name in zip(contents, names, strict=True):
        with Image.open(tmp_path / name) as picture:
            sizes[key] = (picture.format, picture.size)
    assert sizes == {
        "a": ("PNG", (64, 64)), "b": ("JPEG", (256, 85)), "c": ("JPEG", (64, 64)), "d": ("PNG", (64, 64)),
    }  # fmt: skip


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    contents = {"evil.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"}
    with pytest.raises(UserError, match=r"'evil\.svg' cannot be read"):
        pictures.write(Gallery(("evil.svg",), Images(contents)), tmp_path, lambda done, total: None)
