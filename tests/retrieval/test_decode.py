from __future__ import annotations

import io
import struct
import sys
import zlib
from typing import Any

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.retrieval.decode import decode

Array = np.ndarray[Any, Any]
RAMP = np.linspace(0, 255, 48 * 64).astype(np.uint8).reshape(48, 64)


def encoded(picture: Any, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def pixels(data: bytes) -> Array:
    """As RGB, without any scaling."""
    return decode(data, "it", lambda image: np.asarray(image.convert("RGB")))


def refusal(data: bytes) -> str:
    with pytest.raises(UserError) as caught:
        decode(data, "it", lambda image: image.convert("RGB"))
    said = str(caught.value)
    assert said.startswith("image 'it' cannot be decoded: ") and "\n" not in said
    return said.removeprefix("image 'it' cannot be decoded: ")


@pytest.fixture(scope="module")
def photo() -> Any:
    from PIL import Image

    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((64, 48), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "JPEG", "WEBP"])
def test_the_usual_formats(form: str, photo: Any) -> None:
    difference = np.abs(pixels(encoded(photo, form)).astype(int) - np.asarray(photo).astype(int))
    assert difference.mean() < {"GIF": 12, "JPEG": 6, "WEBP": 6}.get(form, 0.001)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_other_modes_are_what_pillow_makes_of_them(mode: str, photo: Any) -> None:
    from PIL import Image

    form = {"CMYK": "TIFF", "YCbCr": "JPEG"}.get(mode, "PNG")
    data = encoded(photo.convert(mode), form)
    assert np.array_equal(pixels(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_cmyk_photographs_have_their_colours(photo: Any) -> None:
    found = pixels(encoded(photo.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(found.astype(int) - np.asarray(photo).astype(int)).mean() < 8


def test_transparency_is_dropped_as_open_clip_does(photo: Any) -> None:
    clear = photo.copy()
    clear.putalpha(0)
    assert np.array_equal(pixels(encoded(clear, "PNG")), np.asarray(photo))
    palette = photo.convert("P")
    data = encoded(palette, "PNG", transparency=3)
    assert np.array_equal(pixels(data), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("kind", ["<u2", ">u2", "<i4"])
def test_16_bits_are_scaled_and_not_cut_off(kind: str) -> None:
    from PIL import Image

    deep = RAMP.astype(np.uint16) * 257
    data = encoded(Image.fromarray(deep.astype(kind)), "TIFF")
    assert np.array_equal(pixels(data), np.repeat(RAMP[..., None], 3, axis=2))
    if kind == "<u2":
        assert np.array_equal(pixels(encoded(Image.fromarray(deep), "PNG"))[..., 0], RAMP)


def test_16_bits_in_colour(photo: Any) -> None:
    """Pillow reads them as 8."""
    deep = np.asarray(photo).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    assert np.array_equal(pixels(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)), np.asarray(photo))


def test_numbers_without_a_known_white() -> None:
    from PIL import Image

    wide = Image.fromarray(RAMP.astype(np.int32) * 10_000)
    assert refusal(encoded(wide, "TIFF")) == "its pixels are numbers of more than 16 bits, which have no known white"
    real = Image.fromarray(RAMP.astype(np.float32))
    assert refusal(encoded(real, "TIFF")) == "its pixels are floating-point numbers, which have no known white"


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_animated_images(form: str, photo: Any) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    others = [photo.rotate(angle) for angle in (90, 180)]
    data = encoded(photo, form, save_all=True, append_images=others, **options)
    assert np.abs(pixels(data).astype(int) - np.asarray(photo).astype(int)).mean() < 12


def test_orientation_is_left_as_open_clip_leaves_it(photo: Any) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    assert pixels(encoded(photo, "JPEG", exif=exif)).shape == (48, 64, 3)


def test_damaged_files_are_said(photo: Any) -> None:
    whole = encoded(photo, "JPEG")
    assert refusal(b"") == "the file is empty"
    assert "image file is truncated" in refusal(whole[:-200])
    for data in (b"not an image", whole[:1], b"<svg xmlns='http://www.w3.org/2000/svg'/>", bytes(2000)):
        assert refusal(data).startswith("it is damaged, or none of JPEG, PNG, WEBP, BMP, GIF, TIFF")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_anywhere_is_a_picture_or_a_sentence(photo: Any) -> None:
    rng = np.random.default_rng(1)
    for form in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        whole = encoded(photo, form)
        for _ in range(40):
            data = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.5 else whole)
            start = rng.integers(0, len(data))
            data[start : start + 4] = rng.bytes(min(4, len(data) - start))
            try:
                assert pixels(bytes(data)).shape[2] == 3
            except UserError as error:
                assert str(error).startswith("image 'it' cannot be decoded: ")


def test_programs_are_not_started_for_postscript() -> None:
    assert "it is damaged, or none of" in refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")


def header_only(width: int, height: int) -> bytes:
    """A PNG that promises much and holds nothing."""
    part = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"IDAT" + zlib.compress(b"")
    chunks = b"".join(
        struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in (part, end, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_bombs(photo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "could be decompression bomb" in refusal(header_only(60_000, 60_000))
    from PIL import Image

    # between one and two times the limit Pillow warns; where warnings are errors, that is a sentence too
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    with pytest.warns(Image.DecompressionBombWarning):
        assert pixels(encoded(photo, "PNG")).shape == (48, 64, 3)


def test_lines_would_be_scaled_to_gigabytes() -> None:
    assert refusal(header_only(1, 1001)) == "1 x 1001 pixels are too long and thin"
    assert refusal(header_only(2002, 2)) == "2002 x 2 pixels are too long and thin"
    from PIL import Image

    assert pixels(encoded(Image.new("RGB", (1000, 1)), "PNG")).shape == (1, 1000, 3)


def test_pillow_is_not_needed_to_import_it() -> None:
    import subprocess

    script = "import sys, grapebench.retrieval.decode; print('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout == b"False\n"
