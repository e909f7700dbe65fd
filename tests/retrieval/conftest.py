from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CONFIG = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
        "text_cfg": {
            "context_length": 8,
            "vocab_size": 12,
            "width": 32,
            "heads": 2,
            "layers": 1,
            "hf_tokenizer_name": "here",
            "pool_type": "eos",
            "eos_id": 2,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear"},
}
WORDS = ("<pad>", "<s>", "</s>", "<unk>", "a", "red", "blue", "kite", "fan", "and", "the", "drum")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random CLIP in the form in which open_clip loads a local directory."""
    return write_clip(tmp_path_factory.mktemp("models") / "tiny-clip", CONFIG)


def write_clip(folder: Path, config: dict[str, Any]) -> Path:
    """A random CLIP with a tokeniser of `WORDS`."""
    import open_clip
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    values = json.loads(json.dumps(config["model_cfg"]))
    custom = values.pop("custom_text", False)
    model = (open_clip.model.CustomTextCLIP if custom else open_clip.model.CLIP)(**values)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def png(seed: int, size: tuple[int, int] = (40, 36), mode: str = "RGB") -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    return [png(seed, (30 + seed, 50 - seed), ("RGB", "L", "P", "RGBA")[seed % 4]) for seed in range(11)]
