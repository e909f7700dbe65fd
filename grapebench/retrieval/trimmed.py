"""Texts through open_clip without most of their padding, where padding changes no vector.

open_clip pads each text to the context length, and captions are short. In a causal text tower nothing that stands
after the pooled token reaches it, so the columns beyond the last pooled token of a batch can go. `encode_text` of
open_clip (2.30 to 3.3) adds the position embeddings and the mask of the whole context; it is called with their first
rows in place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_MULTIPLE = 8
"""Widths are rounded up to a multiple of this, so that a device meets few different shapes."""


@dataclass(frozen=True)
class Trimmed:
    """Stands for a model's `encode_text`, and may be called from several threads."""

    lengths: Callable[[Any], Any]
    """Tokens `(texts, context)` to how many of its columns each text needs, `(texts,)`."""
    encode: Callable[[Any], Any]
    """Tokens `(texts, context)` to features `(texts, dimension)`, those of the model up to the last bits."""


def trimmed(model: Any) -> Trimmed | None:
    """None where padding may matter, or where the model is built in a way not known here.

    Padding may matter without a causal mask (SigLIP), where another place than the end of the text is pooled, where a
    class token follows the padding (CoCa), and in a tower of another library.
    """
    import torch

    found = _causal_tower(model)
    if found is None:
        return None
    tower, name, end = found
    positions, mask = tower.positional_embedding, tower.attn_mask
    lock = threading.Lock()

    def lengths(tokens: Any) -> Any:
        return (tokens if end is None else (tokens == end).int()).argmax(dim=-1) + 1

    class Texts(torch.nn.Module):
        """The way to `encode_text`: `functional_call` puts other tensors in place for `forward` alone."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: Any) -> Any:
            return self.model.encode_text(tokens)

    texts = Texts()

    def encode(tokens: Any) -> Any:
        width = -(-int(lengths(tokens).max()) // _MULTIPLE) * _MULTIPLE
        with lock:  # the tensors are put into the one model that all threads share
            if width >= tokens.shape[1]:
                return model.encode_text(tokens)
            short = {f"{name}positional_embedding": positions[:width], f"{name}attn_mask": mask[:width, :width]}
            return torch.func.functional_call(texts, short, (tokens[:, :width],))

    return Trimmed(lengths, encode)


def _causal_tower(model: Any) -> tuple[Any, str, int | None] | None:
    """What holds position embeddings and mask, the prefix of their names, and the token that ends a text.

    The token is None where it is the highest one in the text. All is None where it is not certain that padding changes
    nothing; of a subclass, which may do anything, it never is.
    """
    import torch
    from open_clip.model import CLIP, CustomTextCLIP
    from open_clip.transformer import TextTransformer

    if type(model) is CLIP:
        tower, name = model, "model."
        pool, end = getattr(model, "text_pool_type", None), getattr(model, "text_eos_id", None)
    elif type(model) is CustomTextCLIP and type(model.text) is TextTransformer:
        tower, name = model.text, "model.text."
        pool, end = getattr(tower, "pool_type", None), getattr(tower, "eos_id", None)
        if tower.cls_emb is not None or tower.output_tokens:
            return None
    else:
        return None
    mask = getattr(tower, "attn_mask", None)
    if mask is None or len(tower.positional_embedding) != len(mask):
        return None
    if not torch.equal(mask.isneginf(), torch.ones_like(mask, dtype=torch.bool).triu(1)):
        return None
    if pool == "argmax":
        return tower, name, None
    return (tower, name, end) if pool == "eos" and end is not None else None
