"""The retriever mechanism 'open_clip': any CLIP-style model that open_clip can load."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from grapebench import activity
from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.retrieval.ahead import WORKERS, ahead, batched
from grapebench.retrieval.checkpoint import LOCAL, Checkpoint, local_checkpoint, published_checkpoint
from grapebench.retrieval.decode import decode
from grapebench.retrieval.device import resolve_device
from grapebench.retrieval.trimmed import Trimmed, trimmed


class OpenClipSettings(BaseModel):
    """`settings` of a retriever card with mechanism 'open_clip'."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    """A name of open_clip's list, 'hf-hub:owner/name', or 'local-dir:path' relative to the card."""
    pretrained: str | None = None
    """open_clip's tag of the weights; only for a name of its list."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: str = "auto"
    """'auto', 'cpu', 'cuda', 'cuda:1', 'mps'."""
    batch_size: int = Field(default=64, ge=1)


class OpenClip:
    """Images and texts to unit vectors by one open_clip model. Nothing is loaded before the first encode.

    A vector depends on its own input alone, up to the last bits: a matrix product rounds differently at other batch
    sizes and, where padding is left out, beside texts of another length. The embedding store keeps the first one made.
    """

    Settings = OpenClipSettings

    def __init__(self, settings: OpenClipSettings, *, base: Path) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._folder = base / settings.model.removeprefix(LOCAL) if settings.model.startswith(LOCAL) else None
        if self._folder and settings.pretrained:
            raise UserError(
                "a model folder holds its own weights", fix=f"leave pretrained = {settings.pretrained!r} out"
            )

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Raises UserError where the model is not there or its name and tag do not fit."""
        if self._folder:
            return local_checkpoint(self._folder)
        return published_checkpoint(self.settings.model, self.settings.pretrained)

    @cached_property
    def device(self) -> str:
        return resolve_device(self.settings.device)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of weights, configuration, tokeniser, preprocessing, precision and kind of device."""
        kind = self.device.partition(":")[0]
        return sha256_json(["open_clip", self.checkpoint.content, self.settings.precision, kind])

    @cached_property
    def description(self) -> dict[str, Any]:
        """What a result records of the retriever."""
        return {
            "mechanism": "open_clip",
            "model": self._folder.name if self._folder else self.settings.model,
            "pretrained": self.settings.pretrained,
            "weights_sha256": self.checkpoint.sha256,
            **self.checkpoint.facts,
            "precision": self.settings.precision,
            "device": self.device,
            **{f"{name}_version": version(package) for name, package in _PACKAGES.items()},
        }

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        """Encoded image files to unit vectors `(images, dimension)`, float32.

        Raises UserError, with its name, for an image that cannot be decoded.
        """
        size = self.settings.batch_size
        pairs = zip(images, names, strict=True)
        with ahead(lambda pair: self.preprocess(*pair), pairs, window=size + WORKERS) as pixels:
            return self._joined(self.encode_pixels(batch) for batch in batched(pixels, size))

    @property
    def batch_size(self) -> int:
        """How many images `encode_pixels` is to be given."""
        return self.settings.batch_size

    def preprocess(self, image: bytes, name: str) -> Any:
        """One encoded image file to a tensor `(3, height, width)`, float32; safe from several threads.

        Raises UserError, with its name, for an image that cannot be decoded.
        """
        return decode(image, name, self._loaded[1])

    def encode_pixels(self, pixels: Sequence[Any]) -> np.ndarray:
        """What `preprocess` gave to unit vectors `(images, dimension)`, float32, as one batch."""
        import torch

        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.settings.precision]
        return self._encode(torch.stack(list(pixels)).to(self.device, dtype), self._loaded[0].encode_image)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts to unit vectors `(texts, dimension)`, float32; what is longer than the context is cut off."""
        if not texts:
            return self._joined(iter(()))
        model, _, tokenizer = self._loaded
        size, trimmed = self.settings.batch_size, self._trimmed
        if trimmed is None:
            # One thread: tokenisers keep their settings in themselves.
            with ahead(tokenizer, batched(texts, size), window=2, workers=1) as tokens:
                return self._joined(self._encode(batch.to(self.device), model.encode_text) for batch in tokens)
        tokens = tokenizer(list(texts))
        # Those of a length together. Bytes would not tell it: a script has one to four of them for a character.
        order = trimmed.lengths(tokens).argsort(stable=True)
        parts = (self._encode(tokens[rows].to(self.device), trimmed.encode) for rows in order.split(size))
        vectors = np.zeros((len(texts), self.checkpoint.facts["dimension"]), np.float32)
        vectors[order.numpy()] = self._joined(parts)
        return vectors

    @property
    def window(self) -> int:
        """How many tokens of a text the model sees, special ones included."""
        return int(self._tokenizer.context_length)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included, before anything is cut off."""
        return _token_counts(self._tokenizer, texts)

    def count_truncated(self, texts: Sequence[str]) -> int:
        """How many of the texts are longer than the window, so that the model does not see their end."""
        return sum(length > self.window for length in self.count_tokens(texts))

    @cached_property
    def _tokenizer(self) -> Any:
        import open_clip

        return open_clip.get_tokenizer(self._model_name)

    @property
    def _model_name(self) -> str:
        return f"{LOCAL}{self._folder}" if self._folder else self.settings.model

    @cached_property
    def _trimmed(self) -> Trimmed | None:
        return trimmed(self._loaded[0])

    @property
    def _loaded(self) -> tuple[Any, Callable[[Any], Any], Any]:
        """Model, image preprocessing, tokeniser."""
        with self._lock:
            return self._load

    @cached_property
    def _load(self) -> tuple[Any, Callable[[Any], Any], Any]:
        import open_clip
        from open_clip.transform import PreprocessCfg, image_transform_v2

        _ = self.checkpoint  # says what is wrong with a name before open_clip does
        try:
            with activity.during("loading the retriever"):
                model = open_clip.create_model(
                    self._model_name,
                    self.settings.pretrained,
                    precision=self.settings.precision,
                    device=self.device,
                )
                tokenizer = self._tokenizer
        except Exception as error:  # safetensors, torch, tokenizers and json each have their own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"open_clip cannot load the model: {reason}", file=self.checkpoint.path) from error
        model.eval()
        return model, image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False), tokenizer

    def _encode(self, batch: Any, encode: Callable[[Any], Any]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            vectors = torch.nn.functional.normalize(encode(batch).float(), dim=-1)
            found: np.ndarray = vectors.cpu().numpy()
        if not np.isfinite(found).all():
            raise UserError(
                f"{self.settings.model} gave vectors that are not finite in {self.settings.precision}",
                fix="use precision = 'fp32'",
            )
        return found

    def _joined(self, parts: Iterator[np.ndarray]) -> np.ndarray:
        """Batches of vectors as one array, which has the right shape where there are none."""
        return np.concatenate([np.zeros((0, self.checkpoint.facts["dimension"]), np.float32), *parts])


_PACKAGES = {"torch": "torch", "open_clip": "open_clip_torch", "pillow": "pillow"}


def _token_counts(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Tokens of each text with the special ones, before anything is cut off."""
    inner = getattr(tokenizer, "tokenizer", None)
    if inner is None:
        return [len(tokenizer.encode(text)) + 2 for text in texts]
    cleaned = [tokenizer.clean_fn(text) for text in texts] if hasattr(tokenizer, "clean_fn") else list(texts)
    if getattr(tokenizer, "tokenizer_mode", "") == "clips":
        return [len(ids) + 3 for ids in inner(cleaned, add_special_tokens=False, verbose=False).input_ids]
    return [len(ids) for ids in inner(cleaned, verbose=False).input_ids]
