from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from grapebench.rewriters.engines import decoding
from grapebench.rewriters.models import Chat
from grapebench.rewriters.sampling import SeededSampling, batch_draws

END = 2
SMALL: dict[str, Any] = {"vocab_size": 40, "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
WIDE: dict[str, Any] = SMALL | {
    "intermediate_size": 64,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
GEMMA_3 = {
    "sliding_window": 4,
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
}
CHUNKS = {
    "attention_chunk_size": 4,
    "head_dim": 16,
    "num_local_experts": 2,
    "intermediate_size_mlp": 64,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "rotary": ("Llama", WIDE),
    "learned positions": (
        "GPT2",
        {"vocab_size": 40, "n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 64, "initializer_range": 0.3},
    ),
    "layer types": ("Qwen2", WIDE),
    "sliding window": ("Mistral", WIDE | {"sliding_window": 8}),
    "some windows": ("Qwen2", WIDE | {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
    "gemma 2": ("Gemma2", WIDE | {"sliding_window": 8, "head_dim": 16, "query_pre_attn_scalar": 16}),
    "gemma 3": ("Gemma3Text", WIDE | GEMMA_3),
    "gpt-oss": (
        "GptOss",
        WIDE | {"sliding_window": 4, "head_dim": 16, "num_local_experts": 2, "num_experts_per_tok": 1},
    ),
    "chunks": ("Llama4Text", WIDE | CHUNKS),
    "scaled by length": ("Llama", WIDE | {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}),
    "no positions": ("Bloom", SMALL | {"n_head": 2, "n_layer": 2}),
    "states": ("Mamba", {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2}),
}
WINDOWS = ["sliding window", "some windows", "gemma 2", "gemma 3", "gpt-oss"]
SHARED = ["rotary", "learned positions", "layer types", *WINDOWS]


@functools.cache
def chat(kind: str) -> Chat:
    name, values = KINDS[kind]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**values, pad_token_id=0, bos_token_id=1, eos_token_id=END)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    model.generation_config = transformers.GenerationConfig(do_sample=False, eos_token_id=[END], pad_token_id=0)
    return Chat(model, None, torch.device("cpu"), frozenset([END]), 0, 64)


def sampling(count: int) -> decoding.Processors:
    draws = batch_draws(1, [str(number) for number in range(count)], 20)
    return lambda rows, width: [SeededSampling(draws[rows], width, 1.0, 0.9)]


def greedy(rows: Sequence[int], width: int) -> list[Any]:
    return []


def spoken(answers: Sequence[Sequence[int]]) -> list[list[int]]:
    """Answers with their end and without what follows it."""
    return [list(one[: one.index(END) + 1] if END in one else one) for one in answers]


def alone(kind: str, prompts: Sequence[Sequence[int]], steps: int, sampled: bool) -> list[list[int]]:
    """What transformers itself gives, one prompt after the other."""
    found = []
    for number, prompt in enumerate(prompts):
        chosen = [one for one in sampling(len(prompts))([number], len(prompt)) if sampled]
        ids = torch.tensor([prompt])
        made = chat(kind).model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=steps, logits_processor=chosen
        )
        found.append(made[0, len(prompt) :].tolist())
    return spoken(found)


MIXED = [
    [5, 6, 7, 8, 9, 10, 11],
    [5, 6, 7, 8, 9, 10, 11],
    [5, 6, 7, 30],
    [5, 6, 7, 12, 13],
    [5, 6, 7, 8, 9, 10, 11],
    [5, 6, 7, 12, 13],
    [5, 6, 7],
]


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_each_prompt_alone(kind: str, sampled: bool) -> None:
    processors = sampling(len(MIXED)) if sampled else greedy
    answers = spoken(decoding.generate(chat(kind), MIXED, 20, processors))
    assert answers == alone(kind, MIXED, 20, sampled)
    assert len({tuple(one) for one in answers}) >= (5 if sampled else 2)


tokens = st.lists(st.integers(3, 39), min_size=1, max_size=6)


@pytest.mark.parametrize("kind", ["rotary", "some windows", "gemma 3"])
@settings(max_examples=20, deadline=None)
@given(
    st.lists(tokens, min_size=1, max_size=4),
    st.lists(st.integers(3, 39), min_size=1, max_size=14),
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
)
def test_any_mixture_of_prompts(kind: str, ends: list[list[int]], start: list[int], chosen: list[int]) -> None:
    """What they share may be longer than a window, and shorter."""
    prompts = [[*start, *ends[number % len(ends)]] for number in chosen] + [start]
    assert spoken(decoding.generate(chat(kind), prompts, 12, sampling(len(prompts)))) == alone(kind, prompts, 12, True)


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_cache_of_rows_and_columns_is_shared(kind: str) -> None:
    assert (decoding.empty_cache(chat(kind).model) is not None) == (kind in SHARED)


@pytest.mark.parametrize("kind", ["rotary", "gemma 3"])
def test_what_prompts_share_is_computed_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = chat(kind).model.base_model
    sizes: list[tuple[int, int]] = []
    forward = body.forward

    def spy(*args: Any, **kwargs: Any) -> Any:
        sizes.append(tuple(kwargs["input_ids"].shape))
        return forward(*args, **kwargs)

    monkeypatch.setattr(body, "forward", functools.wraps(forward)(spy))
    decoding.generate(chat(kind), MIXED, 1, greedy)
    # Two tokens that all share, the four distinct prompts without their last token, and that of all seven.
    assert sizes == [(1, 2), (4, 4), (7, 1)]
    sizes.clear()
    decoding.generate(chat(kind), [[5, 6, 7]] * 3, 1, greedy)
    assert sizes == [(1, 2), (3, 1)]


@pytest.mark.parametrize("kind", ["rotary", "gemma 3"])
def test_rows_that_have_ended_leave(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = chat(kind).model
    rows: list[int] = []
    generate = model.generate

    def spy(**kwargs: Any) -> Any:
        rows.append(len(kwargs["input_ids"]))
        return generate(**kwargs)

    monkeypatch.setattr(model, "generate", spy)
    prompts = [[5, 6, 7]] * 30
    answers = spoken(decoding.generate(chat(kind), prompts, 20, sampling(30)))
    lengths = [len(one) for one in answers]
    ended = [sum(END in one[:done] for one in answers) for done in (0, decoding.ROUND, 2 * decoding.ROUND)]
    assert rows == [30 - some for some in ended if some < 30]
    assert 0 < ended[1] <= ended[2] and max(lengths) <= 20


def test_one_token_is_a_prompt() -> None:
    assert spoken(decoding.generate(chat("rotary"), [[5], [6], [5]], 6, greedy)) == alone(
        "rotary", [[5], [6], [5]], 6, False
    )
