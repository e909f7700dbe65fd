from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.rewriters import models


def test_a_model_that_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*_: Any, **__: Any) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(UserError, match=r"no model 'org/model': .*the hub says: no network; .*hf download org/model"):
        models.locate("org/model", tmp_path, "main")
    with pytest.raises(UserError, match="gone: no such folder"):
        models.locate("./gone", tmp_path, "main")


def test_a_hub_model_is_told_by_its_commit(tiny_lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[bool] = []

    def download(name: str, revision: str, local_files_only: bool = False, **_: Any) -> str:
        asked.append(local_files_only)
        if local_files_only:
            raise FileNotFoundError
        return str(tmp_path / "snapshots" / "c0ffee")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert models.locate("org/model", tmp_path, "main").identity == {"commit": "c0ffee"}
    assert asked == [True, False], "the cache is asked first"


def test_broken_or_incomplete_weights_are_one_sentence(tiny_lm: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "lm"
    shutil.copytree(tiny_lm, folder)
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    del tensors["model.norm.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lm: the weights lack 'model\.norm\.weight'"):
        models.load(folder, None, "float32", "cpu")
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(UserError, match="lm: cannot be loaded as a language model: "):
        models.load(folder, None, "float32", "cpu")


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(UserError, match="unknown device 'abacus'"):
        models.load(Path("anywhere"), None, "auto", "abacus")


def test_the_chat_template_is_part_of_the_identity(tiny_lm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lm"
    shutil.copytree(tiny_lm, folder)
    assert models.Located(folder).identity == models.Located(tiny_lm).identity, "a copy is the same model"
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert models.Located(folder).identity != models.Located(tiny_lm).identity


SYSTEMLESS = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "[{{ m['role'] }}] {{ m['content'] }} {% endfor %}"
)


def test_a_template_without_a_system_role(tiny_lm: Path) -> None:
    """The system's words open the first user turn, and the other turns stay what they are."""
    chat = models.load(tiny_lm, None, "float32", "cpu")
    tokenizer = chat.tokenizer.__class__.from_pretrained(tiny_lm)
    tokenizer.chat_template = SYSTEMLESS
    chat = dataclasses.replace(chat, tokenizer=tokenizer)
    turns = [
        {"role": role, "content": content}
        for role, content in (("system", "S"), ("user", "A"), ("assistant", "B"), ("user", "C"))
    ]
    assert chat.render(turns) == "[user] S\n\nA [assistant] B [user] C "
    assert chat.render(turns[:2]) == "[user] S\n\nA "
