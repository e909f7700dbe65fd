"""Texts without most of their padding, through open_clip's own classes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from grapebench.retrieval.open_clip import OpenClip, OpenClipSettings
from grapebench.retrieval.trimmed import trimmed

from .conftest import CONFIG, write_clip

CONTEXT = 40
END = 11
"""Of the made-up tokens the highest, so that both ways of pooling at the end mean it."""
TEXTS = ["a red kite", "", "the blue fan and the red drum and a kite and a fan", "drum", "a kite " * 9, "a fan " * 30]
"""Of 5, 2, 14, 3 and 20 tokens; the last is longer than the context."""


def config(custom: bool = False, **text: Any) -> dict[str, Any]:
    found = copy.deepcopy(CONFIG)
    found["model_cfg"]["text_cfg"] |= {"context_length": CONTEXT} | text
    return found | {"model_cfg": found["model_cfg"] | ({"custom_text": True} if custom else {})}


def tower(custom: bool = False, **text: Any) -> Any:
    """A model that is not random in one way only: positions and tokens are told apart clearly."""
    torch.manual_seed(0)
    values = config(**{"eos_id": END, **text})["model_cfg"]
    made = (open_clip.model.CustomTextCLIP if custom else open_clip.model.CLIP)(**values).eval()
    for name, parameter in made.named_parameters():
        if "embedding" in name:
            torch.nn.init.normal_(parameter)
    return made


def tokens(lengths: list[int]) -> torch.Tensor:
    found = torch.zeros(len(lengths), CONTEXT, dtype=torch.long)
    for row, length in enumerate(lengths):
        found[row, : length - 1] = torch.randint(1, END, (length - 1,), generator=torch.Generator().manual_seed(row))
        found[row, length - 1] = END
    return found


@pytest.fixture
def widths(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many columns text transformers were given."""
    found: list[int] = []
    real = open_clip.transformer.Transformer.forward

    def forward(self: Any, x: Any, attn_mask: Any = None) -> Any:
        found.append(x.shape[1])
        return real(self, x, attn_mask=attn_mask)

    monkeypatch.setattr(open_clip.transformer.Transformer, "forward", forward)
    yield found


@pytest.mark.parametrize("custom", [False, True])
@pytest.mark.parametrize("pool", ["eos", "argmax"])
def test_causal_towers_give_the_same_without_padding(custom: bool, pool: str, widths: list[int]) -> None:
    model = tower(custom, pool_type=pool)
    short = trimmed(model)
    assert short is not None
    with torch.inference_mode():
        for lengths, width in (([3, 8], 8), ([9, 2], 16), ([CONTEXT, 3], CONTEXT), ([CONTEXT - 1], CONTEXT)):
            batch = tokens(lengths)
            whole = model.encode_text(batch)
            widths.clear()
            torch.testing.assert_close(short.encode(batch), whole, atol=1e-6, rtol=0)
            assert short.lengths(batch).tolist() == lengths
            assert widths == [width]
            torch.testing.assert_close(model.encode_text(batch), whole, atol=0, rtol=0, msg="the model is as before")


def test_where_no_token_ends_the_text_the_first_is_pooled_all_the_same() -> None:
    model = tower(pool_type="eos")
    short, batch = trimmed(model), tokens([9])
    batch[batch == END] = 1
    assert short is not None
    with torch.inference_mode():
        torch.testing.assert_close(short.encode(batch), model.encode_text(batch), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("custom", "text"),
    [
        (False, {"no_causal_mask": True}),
        (True, {"no_causal_mask": True, "pool_type": "last"}),
        (True, {"pool_type": "last"}),
        (True, {"embed_cls": True}),
        (False, {"pool_type": "first"}),
    ],
)
def test_where_padding_may_matter_nothing_is_trimmed(custom: bool, text: dict[str, Any]) -> None:
    assert trimmed(tower(custom, **text)) is None


def test_why_a_tower_that_looks_ahead_is_not_trimmed() -> None:
    """Without padding its vectors would be others."""
    model = tower(True, no_causal_mask=True, pool_type="eos")
    batch = tokens([5])
    with torch.inference_mode():
        whole, cut = (torch.nn.functional.normalize(model.encode_text(some)) for some in (batch, batch[:, :8]))
    assert (whole - cut).abs().max() > 1e-3


def test_other_classes_and_masks_are_not_trimmed() -> None:
    class Other(open_clip.model.CLIP):
        """May do anything."""

    model = tower()
    model.__class__ = Other
    assert trimmed(model) is None
    model = tower()
    model.attn_mask = model.attn_mask.clone()
    model.attn_mask[0, 5] = 0
    assert trimmed(model) is None


def test_threads_do_not_meet_each_others_widths() -> None:
    model = tower()
    short = trimmed(model)
    assert short is not None
    batches = [tokens([length]) for length in (3, 9, 20, 30, CONTEXT) * 6]
    with torch.inference_mode():
        wanted = [model.encode_text(batch) for batch in batches]

    def one(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return short.encode(batch)

    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(one, batches), wanted, strict=True):
            torch.testing.assert_close(found, right, atol=1e-6, rtol=0)


def opened(folder: Path, **settings: object) -> OpenClip:
    return OpenClip(OpenClipSettings(model=f"local-dir:{folder.name}", device="cpu", **settings), base=folder.parent)


@pytest.mark.parametrize("custom", [False, True])
def test_vectors_come_in_the_order_asked_and_are_those_of_the_whole(
    custom: bool, tmp_path: Path, widths: list[int]
) -> None:
    retriever = opened(write_clip(tmp_path / "clip", config(custom)), batch_size=2)
    model, _, tokenizer = retriever._loaded
    with torch.inference_mode():
        wanted = model.encode_text(tokenizer(TEXTS), normalize=True).numpy()
    widths.clear()
    found = retriever.encode_texts(TEXTS)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert found.dtype == np.float32
    assert widths == [8, 16, CONTEXT], "texts of about a length are encoded together"
    np.testing.assert_allclose(retriever.encode_texts(TEXTS[::-1]), found[::-1], atol=1e-6)
    assert retriever.encode_texts([]).shape == (0, 16)


def test_a_tower_that_is_not_trimmed_keeps_order_and_bits(tmp_path: Path, widths: list[int]) -> None:
    text = {"no_causal_mask": True, "pool_type": "last"}
    retriever = opened(write_clip(tmp_path / "clip", config(True, **text)), batch_size=len(TEXTS))
    found = retriever.encode_texts(TEXTS)
    assert widths == [CONTEXT]
    model, _, tokenizer = retriever._loaded
    with torch.inference_mode():
        vectors = torch.nn.functional.normalize(model.encode_text(tokenizer(TEXTS)).float(), dim=-1)
    np.testing.assert_array_equal(found, vectors.numpy())
