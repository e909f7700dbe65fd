from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from grapebench.errors import UserError
from grapebench.records import Gallery, Retriever, Rewrite
from grapebench.retrieval import open_retriever
from grapebench.retrieval.encode import gallery_vectors, query_vectors, text_vectors

ROWS = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32) * 3


class NoImages:
    """An ImageSource without a single file."""

    def read(self, image_id: str) -> bytes:
        raise AssertionError("not needed")

    missing = sha256 = read


def card(folder: Path, **settings: str) -> Retriever:
    lines = ['name = "mine"', 'title = "t"', 'about = "a"', 'mechanism = "precomputed"', "[settings]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    (folder / "mine.toml").write_text("\n".join(lines))
    return open_retriever(str(folder / "mine.toml"))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    np.save(tmp_path / "images.npy", ROWS)
    (tmp_path / "ids.txt").write_text("a\nb\nc\nd\n")
    save_file({"vectors": ROWS[:2].astype(np.float16)}, tmp_path / "texts.safetensors")
    (tmp_path / "texts.json").write_text(json.dumps(["two\nlines", "一只风筝"]))
    return {
        "image_vectors": "images.npy",
        "image_ids": "ids.txt",
        "text_vectors": "texts.safetensors",
        "texts": "texts.json",
    }


def test_vectors_are_looked_up_and_made_unit(tmp_path: Path, files: dict[str, str]) -> None:
    retriever = card(tmp_path, **files)
    unit = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    gallery = Gallery(("d", "a"), NoImages())
    np.testing.assert_allclose(gallery_vectors(gallery, retriever), unit[[3, 0]], atol=1e-6)
    np.testing.assert_allclose(retriever.encode_images([b"", b""], ["b", "c"]), unit[1:3], atol=1e-6)
    texts = query_vectors([Rewrite("1", texts=("一只风筝",))], gallery, retriever)
    np.testing.assert_allclose(texts, unit[1:2], atol=1e-2)
    assert texts.dtype == np.float32
    assert json.loads(json.dumps(retriever.description))["mechanism"] == "precomputed"


def test_the_fingerprint_follows_the_files(tmp_path: Path, files: dict[str, str]) -> None:
    first = card(tmp_path, **files).fingerprint
    assert card(tmp_path, **files).fingerprint == first
    np.save(tmp_path / "images.npy", ROWS + 1)
    assert card(tmp_path, **files).fingerprint != first


def test_what_is_missing_is_told_with_ten_examples(tmp_path: Path, files: dict[str, str]) -> None:
    retriever = card(tmp_path, **files)
    with pytest.raises(UserError, match=r"images.npy: no vector for 12 images: '0', .*'9', …$"):
        gallery_vectors(Gallery(("a", *map(str, range(12))), NoImages()), retriever)
    with pytest.raises(UserError, match=r"no vector for 1 texts: 'kite'$"):
        text_vectors(["一只风筝", "kite"], retriever)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_rows_without_a_direction_are_refused(tmp_path: Path, files: dict[str, str], bad: float) -> None:
    spoilt = ROWS.copy()
    spoilt[2] = bad
    np.save(tmp_path / "images.npy", spoilt)
    with pytest.raises(UserError, match="the vector of image 'c' is zero or not finite"):
        gallery_vectors(Gallery(("a", "c"), NoImages()), card(tmp_path, **files))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ids.txt", b"a\nb\nc\n", "ids.txt: 3 images for the 4 vectors of images.npy"),
        ("ids.txt", b"a\nb\nb\nd\n", "'b' stands there more than once"),
        ("ids.txt", b"\xff\xfe", "is UTF-16, not UTF-8"),
        ("images.npy", b"rubbish", "is not a readable .npy file"),
        ("images.npy", None, "images.npy: there is no such file"),
        ("texts.safetensors", b"rubbish", "is not a readable .safetensors file"),
        ("texts.json", b'["a", 1]', "is not a list of texts"),
        ("texts.json", b'["a",\n', "texts.json:2: is not valid JSON"),
    ],
)
def test_bad_files_are_one_sentence(
    tmp_path: Path, files: dict[str, str], name: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    retriever = card(tmp_path, **files)
    with pytest.raises(UserError, match=message):
        if name.startswith("texts"):
            text_vectors(["一只风筝"], retriever)
        else:
            gallery_vectors(Gallery(("a",), NoImages()), retriever)


def test_arrays_of_another_kind_are_refused(tmp_path: Path, files: dict[str, str]) -> None:
    np.save(tmp_path / "images.npy", np.ones((4, 5), int))
    with pytest.raises(UserError, match=r"holds int64 of shape \(4, 5\) instead of rows of floats"):
        gallery_vectors(Gallery(("a",), NoImages()), card(tmp_path, **files))
    save_file({"a": ROWS, "b": ROWS}, tmp_path / "texts.safetensors")
    with pytest.raises(UserError, match="one tensor is needed and there is: a, b"):
        text_vectors(["x"], card(tmp_path, **files))


def test_settings_that_make_no_sense_are_refused(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"mine.toml: settings: image_vectors and image_ids belong together"):
        card(tmp_path, image_vectors="images.npy")
    with pytest.raises(UserError, match="or an encoder for one of them"):
        card(tmp_path, image_vectors="images.npy", image_ids="ids.txt")
    with pytest.raises(UserError, match="settings.images: unknown setting; allowed are image_vectors"):
        card(tmp_path, **files, images="x")


def test_a_model_may_read_the_texts(tmp_path: Path, files: dict[str, str], tiny_clip: Path) -> None:
    retriever = card(tmp_path, image_vectors="images.npy", image_ids="ids.txt", encoder=str(tiny_clip))
    model = open_retriever(str(tiny_clip))
    assert text_vectors(["a red kite"], retriever).tolist() == text_vectors(["a red kite"], model).tolist()
    assert gallery_vectors(Gallery(("a",), NoImages()), retriever).shape == (1, 5)
    assert retriever.fingerprint != model.fingerprint


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b"\r\n\r\n \r\n", b""])
def test_lists_of_ids_with_marks_and_other_line_ends(
    files: dict[str, str], tmp_path: Path, mark: bytes, end: bytes
) -> None:
    lines = (tmp_path / files["image_ids"]).read_bytes().rstrip(b"\n").split(b"\n")
    wanted = [line.decode() for line in lines]
    before = card(tmp_path, **files).look_up_images(wanted)
    separator = b"\r\n" if b"\r" in end else b"\n"
    (tmp_path / files["image_ids"]).write_bytes(mark + separator.join(lines) + end)
    after = card(tmp_path, **files).look_up_images(wanted)
    np.testing.assert_array_equal(before, after)


def test_an_id_in_the_other_form_of_unicode(files: dict[str, str], tmp_path: Path) -> None:
    lines = (tmp_path / files["image_ids"]).read_text().split("\n")
    (tmp_path / files["image_ids"]).write_text("\n".join(["cafe\u0301", *lines[1:]]))
    retriever = card(tmp_path, **files)
    np.testing.assert_array_equal(retriever.look_up_images(["caf\u00e9"]), retriever.look_up_images(["cafe\u0301"]))
