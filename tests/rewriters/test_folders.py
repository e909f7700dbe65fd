"""Folders that hold no model which can be loaded: a sentence each, with what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.rewriters import models
from grapebench.rewriters.folders import INDEX, check_model

Change = Callable[[Path], None]


def _only(name: str) -> Change:
    def change(folder: Path) -> None:
        for path in folder.iterdir():
            path.unlink()
        if name:
            (folder / name).write_bytes(b"GGUF")

    return change


def _weights_as(name: str) -> Change:
    return lambda folder: (folder / "model.safetensors").rename(folder / name) and None


def _without(*names: str) -> Change:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return change


def _half_copied(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    parts = {f"w{n}": f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)}
    (folder / INDEX).write_text(json.dumps({"weight_map": parts}))


def _pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


def _untold(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings.pop("chat_template", None)
    path.write_text(json.dumps(settings), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_only(""), "lm: is empty, so it is no model in Hugging Face format; name a folder with config.json"),
        (_only("notes.txt"), "lm: holds no config.json, so it is no model in Hugging Face format; name a folder"),
        (_only("lm-q4.gguf"), r"lm: holds its weights as GGUF \(lm-q4.gguf\), which are not read here; .*'api'"),
        (_weights_as("lm-q4.gguf"), r"lm: holds its weights as GGUF \(lm-q4.gguf\), which are not read here; fetch"),
        (_only("adapter_config.json"), "lm: holds an adapter, not a model; name it in the card as `adapter`"),
        (_weights_as("pytorch_model.bin"), r"lm: holds its weights as a pickle \(pytorch_model.bin\) alone, .*; fetch"),
        (_without("model.safetensors"), r"lm: holds no weights \(\*.safetensors\); fetch the model again"),
        (_half_copied, f"lm: lacks model-00002-of-00003.safetensors and 1 more, which {INDEX} names; fetch the model"),
        (_pointer, "model.safetensors: is a pointer of git LFS, not the file itself; run there: git lfs pull"),
        (lambda folder: (folder / "config.json").write_bytes(b""), "config.json: is empty; fetch the model again"),
        (_without("tokenizer.json", "tokenizer_config.json", "vocab.json"), "lm: holds no tokenizer; copy tokenizer"),
        (_untold, "lm: the tokeniser has no chat template; choose an instruction-tuned model"),
    ],
)
def test_each_folder_gets_a_whole_sentence(tiny_lm: Path, tmp_path: Path, change: Change, said: str) -> None:
    folder = tmp_path / "lm"
    shutil.copytree(tiny_lm, folder)
    change(folder)
    with pytest.raises(UserError, match=said):
        models.load(folder, None, "float32", "cpu")


def test_a_whole_folder_passes(tiny_lm: Path) -> None:
    check_model(tiny_lm)
