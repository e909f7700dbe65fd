"""What an open_clip model is, without building it: weights file, architecture, preprocessing."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from grapebench.errors import UserError
from grapebench.files import sha256_json, write_text
from grapebench.paths import cache_dir
from grapebench.retrieval.weights import checkpoint_in, file_hash, folder_hashes
from grapebench.text import decoded

LOCAL = "local-dir:"
HUB = "hf-hub:"
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")
_OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
_OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Checkpoint:
    """All of a model that changes its vectors, except precision and device."""

    path: Path
    """The weights."""
    sha256: str
    """Of the weights."""
    content: str
    """Hash of weights, configuration and tokeniser together."""
    facts: dict[str, Any]
    """image_size, mean, std, interpolation, resize_mode, context_length, dimension, quick_gelu."""


def local_checkpoint(folder: Path) -> Checkpoint:
    """A model folder with open_clip_config.json, one weights file and tokeniser files. torch is not imported.

    Raises UserError, naming the file, where one of them is missing or is not what it should be.
    """
    if not folder.is_dir():
        raise UserError("there is no such model folder", file=folder)
    path = folder / "open_clip_config.json"
    try:
        config = json.loads(decoded(path.read_bytes(), path))
        facts = _facts(config["model_cfg"], config.get("preprocess_cfg", {}))
    except FileNotFoundError as error:
        raise UserError("open_clip_config.json is missing", file=folder, fix="is it an open_clip model?") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError("is not an open_clip configuration with a 'model_cfg'", file=path) from error
    weights = checkpoint_in(folder)
    hashes = folder_hashes(folder)
    return Checkpoint(weights, hashes[weights.name], sha256_json(hashes), facts)


def _facts(model: dict[str, Any], preprocessing: dict[str, Any]) -> dict[str, Any]:
    defaults = {"mean": _OPENAI_MEAN, "std": _OPENAI_STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    known = {key: preprocessing.get(key) or defaults[key] for key in _PREPROCESSING}
    return {
        "image_size": model["vision_cfg"].get("image_size", 224),
        **{key: list(value) if isinstance(value, tuple) else value for key, value in known.items()},
        "context_length": model["text_cfg"].get("context_length", 77),
        "dimension": model["embed_dim"],
        "quick_gelu": bool(model.get("quick_gelu", False)),
    }


def published_checkpoint(model: str, pretrained: str | None) -> Checkpoint:
    """A model of open_clip's list with a pretrained tag, or 'hf-hub:owner/name'; fetched where it is not there yet.

    What was found out is remembered for as long as the weights file is unchanged, so that the next time neither torch
    nor the network is needed. Raises UserError for an unknown name or tag, a tag whose activation is not the model's,
    or a download that failed.
    """
    memo = cache_dir() / "checkpoints" / f"{sha256_json([model, pretrained, version('open_clip_torch')])[:32]}.json"
    if (known := _remembered(memo)) is not None:
        return known
    path, architecture, preprocessing = _resolve(model, pretrained)
    digest = file_hash(path)
    content = sha256_json([model, architecture, preprocessing, digest])
    found = Checkpoint(path, digest, content, _facts(architecture, preprocessing))
    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    write_text(memo, json.dumps({**dataclasses.asdict(found), "path": str(path), "stamp": stamp}, indent=1))
    return found


def _remembered(memo: Path) -> Checkpoint | None:
    try:
        values = json.loads(memo.read_text(encoding="utf-8"))
        status = Path(values["path"]).stat()
        if values.pop("stamp") != [status.st_size, status.st_mtime_ns]:
            return None
        return Checkpoint(**{**values, "path": Path(values["path"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # it only saves time


def _resolve(model: str, pretrained: str | None) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Weights file, architecture and preprocessing of a published model."""
    import open_clip
    from open_clip import pretrained as published

    try:
        if model.startswith(HUB):
            if pretrained:
                raise UserError(f"{model} holds its own weights", fix=f"leave {pretrained!r} out")
            name = model.removeprefix(HUB)
            config_file = published.download_pretrained_from_hf(name, filename="open_clip_config.json")
            config = json.loads(Path(config_file).read_text(encoding="utf-8"))
            return (
                Path(published.download_pretrained_from_hf(name)),
                config["model_cfg"],
                config.get("preprocess_cfg", {}),
            )
        tag = _known_tag(model, pretrained)
        path = Path(published.download_pretrained(tag))
    except UserError:
        raise
    except Exception as error:  # whatever the network, the hub's client or a proxy throws
        name = f"{model}@{pretrained}" if pretrained else model
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the weights of {name} cannot be fetched: {reason}") from error
    return path, open_clip.get_model_config(model), {key: tag[key] for key in _PREPROCESSING if key in tag}


def _known_tag(model: str, pretrained: str | None) -> dict[str, Any]:
    """open_clip's entry for a pretrained tag, once it is sure that model and tag belong together."""
    import open_clip

    from grapebench.registry import unknown_name

    config = open_clip.get_model_config(model)
    if config is None:
        raise unknown_name("open_clip model", model, open_clip.list_models())
    tags = open_clip.list_pretrained_tags_by_model(model)
    plain = model.removesuffix("-quickgelu")
    if not pretrained:
        raise UserError(f"{model} without a pretrained tag has random weights", fix=f"there is: {', '.join(tags)}")
    tag: dict[str, Any] = open_clip.get_pretrained_cfg(model, pretrained)
    if not tag and plain != model and open_clip.get_pretrained_cfg(plain, pretrained):
        raise _wrong_activation(model, pretrained, plain, "without")
    if not tag:
        raise unknown_name(f"pretrained tag of {model}", pretrained, tags)
    # One tag's entry forgets its activation; then there is no other model that it could belong to.
    if tag.get("quick_gelu") and not config.get("quick_gelu"):
        raise _wrong_activation(model, pretrained, f"{model}-quickgelu", "with")
    return tag


def _wrong_activation(model: str, pretrained: str, right: str, how: str) -> UserError:
    return UserError(
        f"{pretrained} was trained {how} QuickGELU, and {model} is not: its vectors would be wrong",
        fix=f"use {right}@{pretrained}",
    )
