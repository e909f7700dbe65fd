from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.files import sha256
from grapebench.records import Gallery
from grapebench.retrieval import checkpoint
from grapebench.retrieval.encode import gallery_vectors
from grapebench.retrieval.open_clip import OpenClip, OpenClipSettings

TEXTS = ["a red kite", "the blue fan and the red drum and a kite and a fan", "drum", ""]


def opened(folder: Path, **settings: object) -> OpenClip:
    return OpenClip(OpenClipSettings(model=f"local-dir:{folder.name}", **settings), base=folder.parent)


def directly(folder: Path, pictures: list[bytes], texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    import open_clip
    import torch
    from PIL import Image

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()
    with torch.inference_mode():
        images = torch.stack([preprocess(Image.open(io.BytesIO(picture))) for picture in pictures])
        return (
            model.encode_image(images, normalize=True).numpy(),
            model.encode_text(tokenizer(texts), normalize=True).numpy(),
        )


def test_vectors_are_those_of_open_clip(tiny_clip: Path, pictures: list[bytes]) -> None:
    retriever = opened(tiny_clip, batch_size=4, device="cpu")
    images, texts = directly(tiny_clip, pictures, TEXTS)
    names = [str(number) for number in range(len(pictures))]
    found = retriever.encode_images(pictures, names)
    np.testing.assert_allclose(found, images, atol=1e-6)
    np.testing.assert_allclose(retriever.encode_texts(TEXTS), texts, atol=1e-6)
    assert found.dtype == np.float32
    assert retriever.encode_texts([]).shape == (0, 16)
    # each vector belongs to its own image, whatever stands beside it
    np.testing.assert_allclose(retriever.encode_images(pictures[::-1], names[::-1])[::-1], found, atol=1e-6)


def test_what_does_not_fit_the_context_is_counted(tiny_clip: Path) -> None:
    assert opened(tiny_clip).count_truncated([*TEXTS, "a a a a a a", "a a a a a a a"]) == 2


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_precision_is_part_of_what_a_vector_is(tiny_clip: Path, precision: str, pictures: list[bytes]) -> None:
    exact, rough = opened(tiny_clip, device="cpu"), opened(tiny_clip, device="cpu", precision=precision)
    assert exact.fingerprint != rough.fingerprint
    assert rough.description["precision"] == precision
    left, right = exact.encode_texts(TEXTS), rough.encode_texts(TEXTS)
    assert 0 < np.abs(left - right).max() < 0.05
    assert np.abs(np.linalg.norm(right, axis=1) - 1).max() < 1e-5
    images = rough.encode_images(pictures[:2], ["a", "b"])
    np.testing.assert_allclose(images, exact.encode_images(pictures[:2], ["a", "b"]), atol=0.05)


def test_fingerprint_follows_the_files_and_nothing_else(tiny_clip: Path, tmp_path: Path) -> None:
    first = opened(tiny_clip, batch_size=3).fingerprint
    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny_clip, copy)
    assert opened(copy, batch_size=9).fingerprint == first
    (copy / "README.md").write_text("hello")
    assert opened(copy).fingerprint == first
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.4, 0.5, 0.5]
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    assert opened(copy).fingerprint != first


def test_description_says_what_was_measured(tiny_clip: Path) -> None:
    told = opened(tiny_clip, device="cpu").description
    assert told["model"] == "tiny-clip"
    assert told["image_size"] == 32
    assert told["context_length"] == 8
    assert told["dimension"] == 16
    assert told["interpolation"] == "bilinear"
    assert told["quick_gelu"] is False
    assert len(told["weights_sha256"]) == 64
    assert json.loads(json.dumps(told)) == told


def test_fingerprint_and_description_need_no_torch(tiny_clip: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from grapebench.retrieval.open_clip import OpenClip, OpenClipSettings\n"
        f"r = OpenClip(OpenClipSettings(model='local-dir:{tiny_clip}', device='cpu'), base=Path())\n"
        "r.fingerprint; r.description; assert 'torch' not in sys.modules and 'open_clip' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_a_broken_image_is_named(tiny_clip: Path, pictures: list[bytes]) -> None:
    retriever = opened(tiny_clip, batch_size=2)
    for broken in (b"", b"no image", pictures[0][:200]):
        with pytest.raises(UserError, match="image 'third' cannot be decoded"):
            retriever.encode_images([*pictures[:2], broken, *pictures], ["one", "two", "third", *"abcdefghijk"])


def test_decoded_ahead_or_not_the_vectors_are_the_same_to_the_bit(tiny_clip: Path, pictures: list[bytes]) -> None:
    retriever = opened(tiny_clip, batch_size=4, device="cpu")
    names = [str(number) for number in range(len(pictures))]
    found = gallery_vectors(Gallery(tuple(names), Pictures(dict(zip(names, pictures, strict=True)))), retriever)
    np.testing.assert_array_equal(found, retriever.encode_images(pictures, names))
    batches = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    directly = [retriever.encode_pixels([retriever.preprocess(pictures[i], "") for i in batch]) for batch in batches]
    np.testing.assert_array_equal(found, np.concatenate(directly))


class Pictures:
    """An ImageSource in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, image_id: str) -> bytes:
        return self.files[image_id]

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return []

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return [sha256(self.files[image]) for image in image_ids]


def test_deep_greyscale_is_the_same_picture(tiny_clip: Path) -> None:
    from PIL import Image

    ramp = np.linspace(0, 255, 40 * 36).astype(np.uint8).reshape(36, 40)
    files = []
    for pixels in (ramp, ramp.astype(np.uint16) * 257):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        files.append(file.getvalue())
    shallow, deep = opened(tiny_clip, device="cpu").encode_images(files, ["8", "16"])
    np.testing.assert_array_equal(shallow, deep)


def test_the_model_is_loaded_once_by_whichever_thread(
    tiny_clip: Path, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    loaded: list[str] = []
    real = open_clip.create_model
    monkeypatch.setattr(open_clip, "create_model", lambda *a, **k: loaded.append("") or real(*a, **k))
    retriever = opened(tiny_clip, device="cpu")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda picture: retriever.preprocess(picture, ""), pictures))
    assert len(loaded) == 1


def test_folders_that_are_no_models_are_refused(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model folder"):
        _ = opened(tmp_path / "nowhere").fingerprint
    copy = tmp_path / "copy"
    shutil.copytree(tiny_clip, copy)
    shutil.copy(copy / "open_clip_model.safetensors", copy / "second.safetensors")
    with pytest.raises(UserError, match="one weights file is needed and there is: open_clip_model.safetensors, second"):
        _ = opened(copy).fingerprint
    (copy / "second.safetensors").unlink()
    (copy / "open_clip_model.safetensors").write_bytes(b"rubbish!")
    with pytest.raises(UserError, match="open_clip cannot load the model"):
        opened(copy, device="cpu").encode_texts(["a"])
    (copy / "open_clip_model.safetensors").unlink()
    with pytest.raises(UserError, match="there is: none"):
        _ = opened(copy).fingerprint
    (copy / "open_clip_config.json").write_text('{"model_cfg": {}}')
    with pytest.raises(UserError, match="is not an open_clip configuration"):
        _ = opened(copy).fingerprint
    (copy / "open_clip_config.json").unlink()
    with pytest.raises(UserError, match="open_clip_config.json is missing"):
        _ = opened(copy).fingerprint


@pytest.mark.parametrize(
    ("model", "tag", "message"),
    [
        ("ViT-B-32", "openai", "trained with QuickGELU.*use ViT-B-32-quickgelu@openai"),
        ("ViT-B-16", "dfn2b", "use ViT-B-16-quickgelu@dfn2b"),
        ("ViT-L-14", "metaclip_400m", "use ViT-L-14-quickgelu@metaclip_400m"),
        ("ViT-B-32-quickgelu", "laion2b_s34b_b79k", "trained without QuickGELU.*use ViT-B-32@laion2b_s34b_b79k"),
        ("ViT-B-32", "laion2b_s34b_b79", "did you mean 'laion2b_s34b_b79k'"),
        ("ViT-B-23", "openai", "unknown open_clip model 'ViT-B-23'; did you mean"),
        ("ViT-B-32", None, "random weights"),
        ("hf-hub:someone/something", "openai", "holds its own weights"),
    ],
)
def test_names_and_tags_that_do_not_fit_are_refused(model: str, tag: str | None, message: str) -> None:
    retriever = OpenClip(OpenClipSettings(model=model, pretrained=tag), base=Path())
    with pytest.raises(UserError, match=message):
        _ = retriever.fingerprint


def test_every_tag_that_open_clip_knows_has_exactly_one_right_model() -> None:
    import open_clip

    for model, tag in open_clip.list_pretrained():
        needs = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu", False)
        has = (open_clip.get_model_config(model) or {}).get("quick_gelu", False)
        if needs and not has:
            with pytest.raises(UserError, match=f"use {model}-quickgelu@{tag}"):
                checkpoint._known_tag(model, tag)
            checkpoint._known_tag(f"{model}-quickgelu", tag)
        else:
            assert checkpoint._known_tag(model, tag)


@pytest.fixture
def published(tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model as if open_clip listed it, with a tag."""
    import open_clip
    from open_clip import factory
    from open_clip import pretrained as listed

    config = json.loads((tiny_clip / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"]["hf_tokenizer_name"] = str(tiny_clip)
    weights = tmp_path / "published.safetensors"
    shutil.copy(tiny_clip / "open_clip_model.safetensors", weights)
    monkeypatch.setitem(factory._MODEL_CONFIGS, "Tiny", config)
    tag = {"file": str(weights), "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear"}
    monkeypatch.setitem(listed._PRETRAINED, "Tiny", {"world": tag})
    assert open_clip.get_model_config("Tiny")
    return weights


def test_a_published_model_is_the_same_model(published: Path, tiny_clip: Path, pictures: list[bytes]) -> None:
    retriever = OpenClip(OpenClipSettings(model="Tiny", pretrained="world", device="cpu"), base=Path())
    local = opened(tiny_clip, device="cpu")
    assert retriever.description["weights_sha256"] == local.description["weights_sha256"]
    np.testing.assert_array_equal(retriever.encode_texts(TEXTS), local.encode_texts(TEXTS))
    np.testing.assert_array_equal(
        retriever.encode_images(pictures[:3], list("abc")), local.encode_images(pictures[:3], list("abc"))
    )


def test_what_a_published_model_is_is_remembered_while_its_file_is_unchanged(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fingerprint() -> str:
        return OpenClip(OpenClipSettings(model="Tiny", pretrained="world", device="cpu"), base=Path()).fingerprint

    first = fingerprint()
    monkeypatch.setattr(checkpoint, "_resolve", lambda *_: pytest.fail("asked again"))
    assert fingerprint() == first
    monkeypatch.undo()


def test_a_failed_download_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from open_clip import pretrained as listed

    def fail(*_: object) -> str:
        raise RuntimeError("no route to host\nand more")

    monkeypatch.setattr(listed, "download_pretrained", fail)
    retriever = OpenClip(OpenClipSettings(model="ViT-B-32", pretrained="laion2b_s34b_b79k"), base=Path())
    with pytest.raises(UserError, match="weights of ViT-B-32@laion2b_s34b_b79k cannot be fetched: no route to host$"):
        _ = retriever.fingerprint


def test_an_unknown_device_is_refused(tiny_clip: Path) -> None:
    with pytest.raises(UserError, match="unknown device 'gpu'"):
        _ = opened(tiny_clip, device="gpu").fingerprint
