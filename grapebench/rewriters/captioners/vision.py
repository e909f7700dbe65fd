"""An image-to-text model of transformers on disk: loading it, and asking it for a batch of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench.errors import UserError
from grapebench.rewriters import turns
from grapebench.rewriters.captioners.prompt import CaptionPrompt
from grapebench.rewriters.folders import check_model
from grapebench.rewriters.models import decode, quiet, reason

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


@dataclass(frozen=True)
class Answered:
    """What the model wrote under one image."""

    raw: str
    prompt_tokens: int
    """Of the prompt, with the places that the image takes in it."""
    completion_tokens: int
    """Without special tokens."""
    cut: bool
    """Whether it was still writing when its tokens were used up."""


@dataclass(frozen=True)
class Vision:
    """A loaded model with what prepares its images and texts."""

    model: Any
    processor: Any
    """Both at once; None for a model (vision-encoder-decoder) that has only the next two."""
    image_processor: Any
    tokenizer: Any
    device: torch.device

    def answer(self, images: Sequence[Image], prompt: CaptionPrompt | None, max_new_tokens: int) -> list[Answered]:
        """The model's words on each image, greedily, in one batch. Raises UserError where the prompt suits it not."""
        import torch

        with torch.inference_mode(), quiet():
            inputs = self._inputs(images, prompt).to(self.device, dtype=self.model.dtype)
            # The card alone says how to generate: defaults that a model ships with would be hidden settings.
            made = self.model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                num_beams=1,
                repetition_penalty=1.0,
                no_repeat_ngram_size=0,
            )
        asked = inputs.get("input_ids")
        opened = turns.opened(self._rendered(prompt)) if self._chats and prompt else ""
        new = made if asked is None else _without_prompt(made, asked)
        special = set(self.tokenizer.all_special_ids)
        lengths = [0] * len(images) if asked is None else inputs["attention_mask"].sum(1).tolist()
        return [
            Answered(
                raw=opened + decode(self.tokenizer, row),
                prompt_tokens=length,
                completion_tokens=sum(token not in special for token in row),
                cut=len(row) >= max_new_tokens and row[-1] not in special,
            )
            for row, length in zip(new.tolist(), lengths, strict=True)
        ]

    def _inputs(self, images: Sequence[Image], prompt: CaptionPrompt | None) -> Any:
        """The batch as the model takes it."""
        if self.processor is None:
            if prompt:
                raise UserError("the captioning model takes no prompt", fix="remove [prompts] from the card")
            return self.image_processor(list(images), return_tensors="pt")
        if self._chats:
            return self._chat(images, prompt)
        if prompt is None:
            return self.processor(images=list(images), return_tensors="pt")
        if prompt.system:
            raise UserError("the captioning model has no chat template, and so no place for prompts.system")
        texts = [prompt.user] * len(images)
        return self._open_ended(self.processor(images=list(images), text=texts, padding=True, return_tensors="pt"))

    def _chat(self, images: Sequence[Image], prompt: CaptionPrompt | None) -> Any:
        if prompt is None:
            raise UserError("the captioning model is a chat model and needs to be asked", fix="name prompts.user")
        text = self._rendered(prompt)
        start = self.tokenizer.bos_token
        return self.processor(
            images=[[image] for image in images],
            text=[text] * len(images),
            padding=True,
            return_tensors="pt",
            # A template that wrote the first token itself wants no other.
            add_special_tokens=not (start and text.startswith(start)),
        )

    @property
    def _chats(self) -> bool:
        return self.processor is not None and bool(getattr(self.processor, "chat_template", None))

    def _rendered(self, prompt: CaptionPrompt) -> str:
        """The prompt with a place for one image, as the chat template writes it."""
        told: list[dict[str, Any]] = [
            {"role": one["role"], "content": [{"type": "text", "text": one["content"]}]} for one in prompt.messages
        ]
        told[-1]["content"].insert(0, {"type": "image"})
        return str(
            self.processor.apply_chat_template(told, add_generation_prompt=True, tokenize=False, enable_thinking=False)
        )

    def _open_ended(self, inputs: Any) -> Any:
        """Without the token that ends a text, where the tokeniser put it after the prompt: nothing would follow it.

        Models with a `generate` of their own, and those that read the prompt with an encoder, expect it.
        """
        from transformers import GenerationMixin

        ends = {self.tokenizer.eos_token_id, self.tokenizer.sep_token_id} - {None}
        own = type(self.model).generate is not GenerationMixin.generate
        if own or self.model.config.is_encoder_decoder or inputs["input_ids"][0, -1].item() not in ends:
            return inputs
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            if name in inputs:
                inputs[name] = inputs[name][:, :-1]
        return inputs


def _without_prompt(made: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """The new tokens. Decoders give the prompt back before them, encoder-decoders do not; BLIP gives it back with
    another first token and without the last one."""
    import torch

    for width in (asked.shape[1], asked.shape[1] - 1):
        if width > 1 and torch.equal(made[:, 1:width], asked[:, 1:width]):
            return made[:, width:]
    return made


def load(folder: Path, dtype: str, device: str) -> Vision:
    """Load an image-to-text model from safetensors. Raises UserError where the folder holds none."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

    from grapebench.retrieval.device import resolve_device

    place = torch.device(resolve_device(device))
    check_model(folder)
    with quiet():
        try:
            model, found = AutoModelForImageTextToText.from_pretrained(
                folder,
                dtype=dtype if dtype == "auto" else getattr(torch, dtype),
                use_safetensors=True,
                output_loading_info=True,
                trust_remote_code=False,
            )
            processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
            if hasattr(processor, "image_processor"):
                images, tokenizer = processor.image_processor, processor.tokenizer
            else:
                images = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
                tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
                processor = None
            model = model.to(place).eval()
        except Exception as error:  # each library below has errors of its own for a broken file
            raise UserError(f"cannot be loaded as an image-to-text model: {reason(error)}", file=folder) from error
    if found["missing_keys"]:
        # transformers would fill them with random numbers.
        raise UserError(f"the weights lack {min(found['missing_keys'])!r}", file=folder, fix="fetch the model again")
    # New tokens have to follow the prompt at once.
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Vision(model, processor, images, tokenizer, place)
