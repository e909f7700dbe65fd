"""The geometry of vectors that were laid out on purpose, and of a variant of mini-clip."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study import variants
from study.geometry import measure


def unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def test_orthogonal_pairs() -> None:
    found = measure(np.eye(8), np.eye(8))
    assert (found.matched, found.unrelated, found.images, found.texts, found.gap) == (1, 0, 0, 0, 0)
    assert (found.recall_1, found.common, found.risk) == (1, 0, 0)
    assert found.own == pytest.approx(math.sqrt(1 / 8 * 7 / 8))
    assert found.image_dimension == pytest.approx(7)


@given(st.floats(0.1, 3), st.floats(0.1, 3), st.floats(-1, 1))
def test_a_cone_and_a_gap_of_known_size(image: float, text: float, cosine: float) -> None:
    """Offsets in directions of their own change no rank, and all cosines as the sums say."""
    first, second = np.zeros(10), np.zeros(10)
    first[8], second[8], second[9] = image, text * cosine, text * math.sqrt(1 - cosine**2)
    content = np.eye(8, 10)
    found = measure(unit(content + first), unit(content + second))
    lengths = math.hypot(1, image), math.hypot(1, text)
    assert found.images == pytest.approx(image**2 / lengths[0] ** 2)
    assert found.texts == pytest.approx(text**2 / lengths[1] ** 2)
    assert found.unrelated == pytest.approx(image * text * cosine / (lengths[0] * lengths[1]), abs=1e-9)
    assert found.matched == pytest.approx((1 + image * text * cosine) / (lengths[0] * lengths[1]), abs=1e-9)
    means = content.mean(axis=0)
    gap = np.linalg.norm((means + first) / lengths[0] - (means + second) / lengths[1])
    assert found.gap == pytest.approx(float(gap), abs=1e-9)
    assert found.recall_1 == 1
    assert found.common == pytest.approx(0, abs=1e-9)


def test_texts_that_lie_nearer_to_all_images_than_others_show_as_risk() -> None:
    rng = np.random.default_rng(0)
    content = rng.normal(size=(200, 20))
    offset = np.zeros(20)
    offset[0] = 4.0
    quiet, loud = content.copy(), content.copy()
    quiet[:, 0] = 0
    loud[:, 0] = rng.normal(size=200) * 2
    images = unit(quiet + offset)
    assert measure(images, unit(loud)).risk > 0.5 > 0.1 > measure(images, unit(quiet)).risk


def test_offsets_have_their_lengths_and_their_angle() -> None:
    rng = np.random.default_rng(1)
    images, texts = rng.normal(size=(50, 6)) * [5, 4, 3, 2, 0.1, 0.1], rng.normal(size=(50, 6)) * [9, 1, 1, 1, 0.1, 0.1]
    for tilt in (0.0, 0.6, 1.0):
        variant = variants.Variant("", 0.5, 2.0, 0.3, tilt)
        image, text = variants.offsets(variant, images, texts)
        assert np.linalg.norm(image) == pytest.approx(0.5 * np.linalg.norm(images, axis=1).mean())
        assert np.linalg.norm(text) == pytest.approx(2.0 * np.linalg.norm(texts, axis=1).mean())
        assert image @ text / (np.linalg.norm(image) * np.linalg.norm(text)) == pytest.approx(0.3)
        assert abs(image[0]) / np.linalg.norm(image) == pytest.approx(tilt, abs=0.1)


def test_a_variant_is_a_checkpoint_whose_vectors_are_shifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    monkeypatch.setattr(variants, "SCENES", 24)
    folder = variants.folder_of("cone", tmp_path)
    assert variants.folder_of("cone", tmp_path) == folder
    found = []
    for place in (variants.model_folder(), folder):
        model = open_clip.create_model(f"local-dir:{place}").eval()
        found.append(variants.features(model, open_clip.get_tokenizer(f"local-dir:{place}")))
    wanted = variants.offsets(variants.VARIANTS["cone"], *found[0])
    for before, after, offset in zip(*found, wanted, strict=True):
        # The biases are kept in half precision.
        assert np.abs(after - before - offset).max() < 0.02 * np.linalg.norm(offset)
