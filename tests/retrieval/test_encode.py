from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.records import Gallery, Rewrite
from grapebench.retrieval import encode
from grapebench.retrieval.encode import gallery_vectors, image_vectors, query_vectors, search_vectors, text_vectors
from grapebench.retrieval.fused import Fused
from grapebench.retrieval.store import EmbeddingStore


class Images:
    """An ImageSource in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.reads = files, 0

    def read(self, image_id: str) -> bytes:
        self.reads += 1
        return self.files[image_id]

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return [image for image in image_ids if image not in self.files]

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return [hashlib.sha256(self.files[image]).hexdigest() for image in image_ids]


class Hashing:
    """A retriever whose vectors come from a hash."""

    fingerprint = "hashing"

    def __init__(self) -> None:
        self.description: dict[str, object] = {}
        self.images: list[str] = []
        self.texts: list[str] = []

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        self.images += names
        return np.stack([self.vector(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        return np.stack([self.vector(text.encode()) for text in texts])

    @staticmethod
    def vector(data: bytes) -> np.ndarray:
        row = np.random.default_rng(list(data)).standard_normal(6)
        return (row / np.linalg.norm(row)).astype(np.float32)


class Decoding(Hashing):
    """One that lets its decoding run ahead."""

    batch_size = 4

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[bytes]] = []
        self.prepared: list[str] = []
        self.ahead = 0

    def preprocess(self, image: bytes, name: str) -> bytes:
        if image == b"broken":
            raise UserError(f"image {name!r} cannot be decoded")
        self.prepared.append(name)
        return image[::-1]

    def encode_pixels(self, pixels: Sequence[bytes]) -> np.ndarray:
        self.ahead = max(self.ahead, len(self.prepared) - sum(map(len, self.batches)))
        self.batches.append(list(pixels))
        return np.stack([self.vector(image[::-1]) for image in pixels])

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        raise AssertionError("the images are decoded ahead")


def numbered(count: int, **more: bytes) -> Gallery:
    files = {f"i{number}": f"image {number}".encode() for number in range(count)} | more
    return Gallery(tuple(files), Images(files))


@pytest.fixture
def gallery() -> Gallery:
    return Gallery(("a", "b", "copy"), Images({"a": b"1", "b": b"2", "copy": b"1"}))


def test_each_image_is_encoded_once(gallery: Gallery) -> None:
    retriever = Hashing()
    found = gallery_vectors(gallery, retriever)
    assert retriever.images == ["a", "b"]
    assert found.tolist() == [Hashing.vector(data).tolist() for data in (b"1", b"2", b"1")]
    again = gallery_vectors(gallery, retriever)
    assert again.tolist() == found.tolist()
    assert retriever.images == ["a", "b"]
    assert gallery.images.reads == 2
    other = Gallery(("new", "b"), Images({"new": b"3", "b": b"2"}))
    assert image_vectors(["b", "new", "b"], other, retriever).shape == (3, 6)
    assert retriever.images == ["a", "b", "new"]


def test_texts_are_encoded_once_and_in_order() -> None:
    retriever = Hashing()
    found = text_vectors(["x", "y", "x", "z"], retriever)
    assert retriever.texts == ["x", "y", "z"]
    assert found.tolist() == [Hashing.vector(text.encode()).tolist() for text in "xyxz"]
    assert text_vectors(["z", "w"], retriever)[0].tolist() == found[3].tolist()
    assert retriever.texts == ["x", "y", "z", "w"]


def test_an_interrupted_encoding_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "_CHUNK", 2)
    texts = [str(number) for number in range(10)]

    class Breaking(Hashing):
        def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
            if "6" in texts:
                raise KeyboardInterrupt
            return super().encode_texts(texts)

    told: list[tuple[int, int]] = []
    with pytest.raises(KeyboardInterrupt):
        text_vectors(texts, Breaking(), report=lambda done, total: told.append((done, total)))
    assert told == [(2, 10), (4, 10), (6, 10)]
    retriever = Hashing()
    assert text_vectors(texts, retriever).tolist() == [Hashing.vector(text.encode()).tolist() for text in texts]
    assert retriever.texts == ["6", "7", "8", "9"]


def test_images_are_decoded_ahead_of_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "_CHUNK", 10)
    gallery, retriever, plain = numbered(27), Decoding(), Hashing()
    told: list[tuple[int, int]] = []
    found = gallery_vectors(gallery, retriever, report=lambda done, total: told.append((done, total)))
    assert found.tolist() == [Hashing.vector(f"image {number}".encode()).tolist() for number in range(27)]
    # batches are those of a retriever that is given chunks of ten and encodes four at once
    assert [len(batch) for batch in retriever.batches] == [4, 4, 2, 4, 4, 2, 4, 3]
    assert [done for done, _ in told] == [4, 8, 10, 14, 18, 20, 24, 27] and told[0][1] == 27
    assert sorted(retriever.prepared, key=gallery.ids.index) == list(gallery.ids)
    assert retriever.ahead <= 2 * retriever.batch_size + 2 * encode.WORKERS
    plain.fingerprint = "plain"
    assert gallery_vectors(gallery, plain).tolist() == found.tolist()
    assert plain.images == list(gallery.ids)


def test_decoding_overlaps_with_encoding() -> None:
    """The second batch is prepared before the first one is encoded."""
    prepared = threading.Event()

    class Waiting(Decoding):
        def preprocess(self, image: bytes, name: str) -> bytes:
            if name == "i7":
                prepared.set()
            return super().preprocess(image, name)

        def encode_pixels(self, pixels: Sequence[bytes]) -> np.ndarray:
            assert prepared.wait(10)
            return super().encode_pixels(pixels)

    assert len(gallery_vectors(numbered(8), Waiting())) == 8


def test_a_broken_image_does_not_cost_those_before_it() -> None:
    gallery = numbered(10, bad=b"broken")
    with pytest.raises(UserError, match="image 'bad' cannot be decoded"):
        gallery_vectors(gallery, Decoding())
    retriever = Decoding()
    gallery_vectors(numbered(10), retriever)
    assert retriever.batches == [[b"8 egami", b"9 egami"]]


@pytest.mark.parametrize("kind", [Decoding, Hashing])
def test_a_missing_file_is_the_error_that_reading_it_gives(kind: type[Hashing]) -> None:
    class Missing(Images):
        def read(self, image_id: str) -> bytes:
            if image_id == "i5":
                raise UserError("image 'i5' is missing")
            return super().read(image_id)

    files = {f"i{number}": b"%d" % number for number in range(9)}
    with pytest.raises(UserError, match="image 'i5' is missing"):
        gallery_vectors(Gallery(tuple(files), Missing(files)), kind())


def test_an_interrupt_keeps_what_is_encoded_and_stops_the_threads() -> None:
    class Breaking(Decoding):
        def preprocess(self, image: bytes, name: str) -> bytes:
            time.sleep(0.001)
            return super().preprocess(image, name)

        def encode_pixels(self, pixels: Sequence[bytes]) -> np.ndarray:
            if len(self.batches) == 3:
                raise KeyboardInterrupt
            return super().encode_pixels(pixels)

    retriever = Breaking()
    with pytest.raises(KeyboardInterrupt):
        gallery_vectors(numbered(400), retriever)
    count = len(retriever.prepared)
    assert count < 100 and not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    again = Decoding()
    gallery_vectors(numbered(20), again)
    assert sum(map(len, again.batches)) == 8


def test_rewrites_become_weighted_sums(gallery: Gallery) -> None:
    rewrites = [
        Rewrite("1", texts=("x",)),
        Rewrite("2", images=("b",)),
        Rewrite("3", texts=("x", "y"), images=("b",), weights=(1.0, 2.0, -0.5)),
        Rewrite("4", texts=("x",), images=("a",)),
    ]
    found = query_vectors(rewrites, gallery, Hashing())
    x, y, a, b = (Hashing.vector(data).astype(np.float64) for data in (b"x", b"y", b"1", b"2"))
    for row, total in zip(found, (x, b, x + 2 * y - 0.5 * b, x + a), strict=True):
        np.testing.assert_allclose(row, total / np.linalg.norm(total), atol=1e-6)
    assert found.dtype == np.float32
    # what is searched for a text alone is the very vector of the text
    assert found[0].tolist() == text_vectors(["x"], Hashing())[0].tolist()


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (Rewrite("7"), "'7' has neither text nor image nor vector"),
        (Rewrite("7", texts=("x", "y"), weights=(1.0,)), "2 parts and 1 weights"),
        (Rewrite("7", texts=("x", "x"), weights=(1.0, -1.0)), "'7' cancel each other out"),
    ],
)
def test_rewrites_without_a_vector_are_refused(rewrite: Rewrite, message: str, gallery: Gallery) -> None:
    with pytest.raises(UserError, match=message):
        query_vectors([rewrite], gallery, Hashing())


def own(*numbers: float) -> tuple[float, ...]:
    return (*numbers, *(0.0,) * (6 - len(numbers)))


def test_vectors_of_the_rewrites_own(gallery: Gallery) -> None:
    odd = (np.float32(0.6), np.float32(0.8))
    rewrites = [
        Rewrite("1", vectors=(own(*map(float, odd)),)),
        Rewrite("2", texts=("x",), images=("a",), vectors=(own(0, 0, 1.0),), weights=(1.0, 2.0, 3.0)),
    ]
    found = query_vectors(rewrites, gallery, Hashing())
    assert found.dtype == np.float32 and found[0, :2].tolist() == list(odd), "a lone one as it is"
    x, a = (Hashing.vector(data).astype(np.float64) for data in (b"x", b"1"))
    total = x + 2 * a + 3 * np.array(own(0, 0, 1.0))
    np.testing.assert_allclose(found[1], total / np.linalg.norm(total), atol=1e-6)


def test_what_is_not_fused_by_the_mean_keeps_its_parts(gallery: Gallery) -> None:
    rewrites = [
        Rewrite("1", texts=("x", "y"), images=("b",), vectors=(own(1.0),), weights=(1.0, 2.0, 3.0, 4.0), fusion="rrf"),
        Rewrite("2", texts=("x", "z")),
        Rewrite("3", texts=("z",), fusion="max", weights=(0.5,)),
    ]
    found = search_vectors(rewrites, gallery, Hashing())
    assert isinstance(found, Fused)
    assert (found.counts.tolist(), found.weights[:4].tolist()) == ([4, 1, 1], [1.0, 2.0, 3.0, 4.0])
    x, y, b, z = (Hashing.vector(data) for data in (b"x", b"y", b"2", b"z"))
    assert found.parts[:4].tolist() == [x.tolist(), y.tolist(), b.tolist(), list(own(1.0))]
    single = query_vectors(rewrites[1:], gallery, Hashing())
    assert found.parts[4:].tolist() == single.tolist() and single[1].tolist() == z.tolist()
    with pytest.raises(UserError, match="query '1' is fused by 'rrf': it has no single vector"):
        query_vectors(rewrites, gallery, Hashing())


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (Rewrite("7", vectors=((0.6, 0.8),)), r"'7' holds a vector of shape \(2,\), and the retriever's are of \(6,\)"),
        (Rewrite("7", vectors=(own(0.6, 0.9),)), "'7' holds a vector that is not of length 1; divide it"),
        (Rewrite("7", vectors=(own(float("nan")),)), "not of length 1"),
        (Rewrite("7", vectors=(own(1e300),)), "not of length 1"),
        (Rewrite("7", vectors=(("one",),)), "'7' holds a vector that is not one of numbers"),  # type: ignore[arg-type]
        (
            Rewrite("7", texts=("x", "y"), fusion="rrf", weights=(1.0, 0.0)),
            "'rrf' and has a weight that is not above 0",
        ),
        (Rewrite("7", texts=("x", "y"), fusion="max", weights=(1.0, 2.0)), "'max', which weighs nothing"),
        (Rewrite("7", texts=("x", "y"), fusion="sum"), "unknown fusion 'sum'; there is: mean"),  # type: ignore[arg-type]
    ],
)
def test_parts_that_cannot_be_fused_are_refused(rewrite: Rewrite, message: str, gallery: Gallery) -> None:
    with pytest.raises(UserError, match=message):
        search_vectors([rewrite], gallery, Hashing())


@pytest.mark.parametrize("factor", [0.0, 1.1, np.nan])
def test_vectors_of_another_length_are_refused(factor: float) -> None:
    class Wrong(Hashing):
        def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
            return super().encode_texts(texts) * np.float32(factor)

    with pytest.raises(UserError, match="not of length 1"):
        text_vectors(["x"], Wrong())
    assert text_vectors(["x"], Hashing()).shape == (1, 6)


def test_as_many_vectors_as_texts() -> None:
    class Short(Hashing):
        def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
            return super().encode_texts(texts)[1:]

    with pytest.raises(UserError, match=r"shape \(1, 6\) instead of \(2, dimension\)"):
        text_vectors(["x", "y"], Short())


def test_a_call_that_finds_everything_does_not_import_torch(tiny_clip: Path, home: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from grapebench.retrieval import open_retriever; from grapebench.retrieval.encode import text_vectors\n"
        "from grapebench.retrieval.ranking import count_ranks; from grapebench.retrieval.topk import top_k\n"
        f"found = text_vectors(['a red kite', 'a fan'], open_retriever({str(tiny_clip)!r}))\n"
        "import numpy as np; count_ranks(found, found, [np.array([0])] * 2); top_k(found, found, 1)\n"
        "print('torch' in sys.modules)"
    )
    told = [
        subprocess.run([sys.executable, "-c", code], check=True, timeout=600, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert told == ["True\n", "False\n"]


def test_the_store_may_be_anywhere(tmp_path: Path, home: Path) -> None:
    text_vectors(["x"], Hashing(), EmbeddingStore(tmp_path / "store"))
    assert (tmp_path / "store").is_dir()
    assert not home.exists()
