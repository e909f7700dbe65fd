from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from grapebench.rewriters.engines.images import data_url, with_images


def encoded(kind: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (3, 2), (255, 0, 0)).save(made, kind)
    return made.getvalue()


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
def test_what_servers_read_goes_as_it_is(kind: str) -> None:
    image = encoded(kind)
    start, _, data = data_url(image).partition(",")
    assert start == f"data:image/{kind};base64" and base64.b64decode(data) == image


def test_what_they_do_not_read_becomes_a_png() -> None:
    start, _, data = data_url(encoded("bmp")).partition(",")
    assert start == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).getpixel((0, 0)) == (255, 0, 0)


def test_images_go_before_the_text_of_the_last_user_turn() -> None:
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"},
             {"role": "user", "content": "three"}]  # fmt: skip
    made = with_images(turns, [encoded("png")])
    assert made[:2] == turns[:2] and made[2]["content"][1] == {"type": "text", "text": "three"}
    assert made[2]["content"][0]["image_url"]["url"].startswith("data:image/png")
    assert turns[2]["content"] == "three" and with_images(turns, []) == turns
