"""Tiny models of each kind, captioned in batches and, to compare, one image at a time by other means."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.records import Gallery
from grapebench.retrieval.store import EmbeddingStore
from grapebench.rewriters.captioners import LoadedCaptioner, Picture, open_captioner
from grapebench.rewriters.captioners.pipeline import Pipeline
from grapebench.rewriters.captioners.prompt import CaptionPrompt
from grapebench.rewriters.setup import Setup

from . import tiny
from .conftest import ByColour, Pictures

TOKENS = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a kind of model, made when it is first asked for."""
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = getattr(tiny, kind)(tmp_path_factory.mktemp(kind))
        return made[kind]

    return get


def card(folder: Path, model: Path | str, prompt: str | None = None, rest: str = "") -> str:
    path = folder / "mine.toml"
    text = 'name = "mine"\ntitle = "Mine"\nabout = "A test."\nmechanism = "pipeline"\n'
    if prompt:
        (folder / "ask.txt").write_text(prompt)
        text += '[prompts]\nuser = "ask.txt"\n'
    path.write_text(text + f'[settings]\nmodel = "{model}"\nmax_new_tokens = {TOKENS}\nbatch_size = 3\n{rest}')
    return str(path)


def ask(captioner: LoadedCaptioner, gallery: Gallery) -> dict[str, str]:
    return captioner.caption(gallery.ids, gallery, ByColour(), EmbeddingStore())


def alone(kind: str, folder: Path, image: Any, prompt: str | None) -> str:
    """The caption of one image as the model's own guide gets it, without any of our code."""
    import torch
    import transformers

    if kind == "chat":
        pipe = transformers.pipeline("image-text-to-text", model=str(folder), device="cpu")
        turn = {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": prompt}]}
        told = pipe(text=[turn], max_new_tokens=TOKENS, return_full_text=False, generate_kwargs={"do_sample": False})
        return told[0]["generated_text"].strip()
    if kind == "encoder_decoder":
        eye = transformers.ViTImageProcessor.from_pretrained(folder)
        words = transformers.AutoTokenizer.from_pretrained(folder)
        whole = transformers.VisionEncoderDecoderModel.from_pretrained(folder)
        made = whole.generate(eye(image, return_tensors="pt")["pixel_values"], max_new_tokens=TOKENS, do_sample=False)
        return words.decode(made[0], skip_special_tokens=True)
    name = {"blip": "BlipForConditionalGeneration", "blip2": "Blip2ForConditionalGeneration", "git": "GitForCausalLM"}
    whole = getattr(transformers, name[kind]).from_pretrained(folder)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    inputs = processor(images=image, return_tensors="pt") if prompt is None else None
    if kind == "git" and prompt:
        # As GIT's guide has it: the prompt is framed by no token but the first.
        ids = processor.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        pixels = processor(images=image, return_tensors="pt")["pixel_values"]
        inputs = {"pixel_values": pixels, "input_ids": torch.tensor([[processor.tokenizer.cls_token_id, *ids]])}
    elif prompt:
        inputs = processor(images=image, text=prompt, return_tensors="pt")
    text = processor.tokenizer.decode(whole.generate(**inputs, max_new_tokens=TOKENS)[0], skip_special_tokens=True)
    return text.removeprefix(prompt or "").strip()


@pytest.mark.parametrize(
    ("kind", "prompt"),
    [
        ("blip", None),
        ("blip", "w1 w2 w3"),
        ("git", None),
        ("git", "w1 w2 w3"),
        ("blip2", "w1 w2 w3"),
        ("encoder_decoder", None),
        ("chat", "w1 w2 w3"),
    ],
)
def test_a_batch_gives_the_captions_that_images_get_alone(
    kind: str, prompt: str | None, model: Callable[[str], Path], setup: Setup, photos: Gallery
) -> None:
    from PIL import Image

    folder = model(kind)
    settings = Pipeline.Settings(model=str(folder), max_new_tokens=TOKENS, batch_size=3)
    captioner = Pipeline(settings, setup, CaptionPrompt(prompt) if prompt else None)
    ids = ["red", "wide", "blue", "grey"]
    hashes = photos.images.sha256(ids)
    pictures = [Picture(image, told, photos.images) for image, told in zip(ids, hashes, strict=True)]
    answers = list(captioner.describe(pictures))
    wanted = {}
    for image in ids:
        with Image.open(io.BytesIO(photos.images.read(image))) as opened:
            wanted[image] = alone(kind, folder, opened.convert("RGB"), prompt)
    assert {answer.query_id: answer.raw.strip() for answer in answers if answer.raw is not None} == wanted
    assert len(set(wanted.values())) > 1, "a model that says the same of all would prove nothing"
    words = {answer.query_id: len((answer.raw or "").split()) for answer in answers}
    assert {answer.query_id: answer.completion_tokens for answer in answers} == words, "a word is a token here"
    if kind == "chat":
        # 2 x 2 patches of 4 pixels are one token. Around them: [CLS] user <look> … </look> w1 w2 w3 [SEP] [CLS]
        assert [answer.prompt_tokens for answer in answers] == [9 + 16, 9 + 32, 9 + 24, 9 + 36]


def test_captions_are_stored_and_the_model_is_loaded_for_new_images_alone(
    model: Callable[[str], Path], setup: Setup, photos: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model("blip")
    captioner = open_captioner(card(tmp_path, folder), setup)
    found = ask(captioner, photos)
    assert found["red"] == found["red again"] and all(found.values())
    assert captioner.cost["images"] == 4
    assert set(captioner.description["model"]) == {"name", "sha256"}

    def fail(*_: Any) -> None:
        raise AssertionError("loaded again")

    monkeypatch.setattr("grapebench.rewriters.captioners.pipeline.load", fail)
    path = tmp_path / "mine.toml"
    path.write_text(path.read_text().replace("batch_size = 3", "batch_size = 1"))
    again = open_captioner(str(path), setup)
    assert ask(again, photos) == found
    assert again.cost["images"] == 0


def test_the_fingerprint_holds_all_that_changes_a_caption(
    model: Callable[[str], Path], setup: Setup, tmp_path: Path
) -> None:
    def fingerprint(model: Path, prompt: str | None = None, rest: str = "", tokens: int = TOKENS) -> str:
        path = Path(card(tmp_path, model, prompt, rest))
        path.write_text(path.read_text().replace(f"max_new_tokens = {TOKENS}", f"max_new_tokens = {tokens}"))
        return open_captioner(str(path), setup).fingerprint

    folder = model("blip")
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    weights = changed / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    eyes = tmp_path / "eyes"
    shutil.copytree(folder, eyes)
    file = next(path for path in eyes.glob("*processor_config.json"))
    file.write_text(file.read_text().replace('"height": 32', '"height": 33'))
    found = [
        fingerprint(folder),
        fingerprint(changed),
        fingerprint(eyes),
        fingerprint(folder, "w1"),
        fingerprint(folder, "w2"),
        fingerprint(folder, tokens=5),
        fingerprint(folder, rest='dtype = "float32"\n'),
    ]
    assert len(set(found)) == len(found)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere)
    assert fingerprint(elsewhere) == found[0], "where the folder lies changes nothing"


def test_what_cannot_be_captioned(model: Callable[[str], Path], setup: Setup, photos: Gallery, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        open_captioner(card(tmp_path, "./gone"), setup)
    with pytest.raises(UserError, match="settings.model: Field required"):
        open_captioner("pipeline", setup)
    broken = Gallery(("bad", "red"), Pictures({"bad": b"no image", "red": photos.images.read("red")}))
    with pytest.raises(UserError, match="image 'bad' cannot be decoded: it is damaged, or none of"):
        ask(open_captioner(card(tmp_path, model("blip")), setup), broken)
    with pytest.raises(UserError, match="takes no prompt; remove"):
        ask(open_captioner(card(tmp_path, model("encoder_decoder"), "w1"), setup), photos)
    with pytest.raises(UserError, match="is a chat model and needs to be asked; name prompts.user"):
        ask(open_captioner(card(tmp_path, model("chat")), setup), photos)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: is empty, so it is no model in Hugging Face format"):
        ask(open_captioner(card(tmp_path, tmp_path / "empty"), setup), photos)


def test_weights_are_taken_as_safetensors_only(
    model: Callable[[str], Path], setup: Setup, photos: Gallery, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "pickled"
    shutil.copytree(model("blip"), folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="pickled: holds its weights as a pickle"):
        ask(open_captioner(card(tmp_path, folder), setup), photos)
    (folder / "pytorch_model.bin").unlink()
    lost = sorted(weights)[0]
    del weights[lost]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="the weights lack '"):
        ask(open_captioner(card(tmp_path, folder), setup), photos)


def test_opening_imports_no_torch(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys\n"
        "from grapebench import registry\n"
        "for name in registry.BUILTIN['captioners']: registry.resolve('captioners', name)\n"
        "heavy = {'torch', 'transformers', 'vllm', 'openai'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
