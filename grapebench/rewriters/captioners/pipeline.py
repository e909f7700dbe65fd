"""An image-to-text model of transformers in this process: BLIP, BLIP-2, GIT, vision-encoder-decoder, and chat models
that see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from grapebench import activity
from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import Rewrite
from grapebench.rewriters import models, output
from grapebench.rewriters.captioners.asking import Picture
from grapebench.rewriters.captioners.prompt import CaptionPrompt
from grapebench.rewriters.captioners.vision import Vision, load
from grapebench.rewriters.setup import Setup


class Pipeline:
    """Captions images with any model of transformers' class AutoModelForImageTextToText, greedily."""

    language_model = True
    sampled = False

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        model: str
        """A folder in Hugging Face format (relative to the card) or a model id of the hub."""
        revision: str = "main"
        """Of a hub model: a branch, tag or commit."""
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
        """'auto' is what the model's own config says."""
        max_new_tokens: int = Field(64, ge=1)
        batch_size: int = Field(16, ge=1)
        """How many images are captioned at once; changes speed, not captions."""

    def __init__(self, settings: Settings, setup: Setup, prompt: CaptionPrompt | None) -> None:
        self.settings, self.setup, self.prompt = settings, setup, prompt
        self.model = models.locate(settings.model, setup.base or Path(), settings.revision)

    @property
    def description(self) -> dict[str, Any]:
        return {
            "model": {"name": self.settings.model, **self.model.identity},
            "generation": self._generation,
            "prompt": {"sha256": self.prompt.sha256, "system": self.prompt.system, "user": self.prompt.user}
            if self.prompt
            else None,
            "output_contract": output.VERSION,
            "versions": {package: version(package) for package in ("torch", "transformers")},
        }

    @property
    def _generation(self) -> dict[str, Any]:
        return self.settings.model_dump(include={"dtype", "max_new_tokens"})

    @property
    def fingerprint(self) -> str:
        """Of weights, prompt, generation and output contract; not of batch size, device or library versions."""
        prompt = self.prompt.sha256 if self.prompt else None
        return sha256_json(["caption", "pipeline", self.model.identity, self._generation, prompt, output.VERSION])

    def describe(self, pictures: Sequence[Picture]) -> Iterator[Rewrite]:
        """A caption for each picture; those of a batch come together.

        Raises UserError where the model cannot be loaded, a picture not be decoded, or a batch does not fit the GPU.
        """
        # Held for this call only: the rewriter's own model comes next and wants the memory.
        with activity.during("loading the captioner"):
            loaded = load(self.model.folder, self.settings.dtype, self.setup.device)
        for start in range(0, len(pictures), self.settings.batch_size):
            yield from self._batch(loaded, pictures[start : start + self.settings.batch_size])

    def _batch(self, loaded: Vision, batch: Sequence[Picture]) -> list[Rewrite]:
        import torch

        from grapebench.retrieval.decode import decode

        images = [decode(one.read(), one.id, lambda image: image.convert("RGB")) for one in batch]
        try:
            answers = loaded.answer(images, self.prompt, self.settings.max_new_tokens)
        except torch.cuda.OutOfMemoryError as error:
            raise UserError(
                f"the GPU has no room for a batch of {len(batch)} images",
                fix="lower batch_size in the captioner's card",
            ) from error
        rewrites = []
        for one, answer in zip(batch, answers, strict=True):
            text, fallback = output.parse(answer.raw, self.prompt.instructions if self.prompt else ())
            rewrites.append(
                Rewrite(
                    one.id,
                    texts=(text,),
                    raw=answer.raw,
                    fallback=fallback,
                    prompt_tokens=answer.prompt_tokens,
                    completion_tokens=answer.completion_tokens,
                    trace={"cut output": "no end within max_new_tokens"} if answer.cut else {},
                )
            )
        return rewrites
