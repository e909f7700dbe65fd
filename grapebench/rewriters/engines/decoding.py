"""Generation in which what prompts share is computed once, and answers that have ended leave the batch.

`generate` of transformers goes on from a cache of keys and values that holds all tokens but the last, and extends it.
So the cache is filled here, each distinct prompt once, and `generate` is asked for a few tokens at a time; in between
the cache is cut to the rows that go on.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from grapebench.rewriters.models import Chat

if TYPE_CHECKING:
    import torch

ROUND = 8
"""After so many tokens the rows that have ended leave. More often gains nothing: each time `generate` sets up anew."""

Processors = Callable[[Sequence[int], int], list[Any]]
"""From the numbers of the prompts that are still answered and the width of the prompts to logits processors."""


def generate(
    chat: Chat, prompts: Sequence[Sequence[int]], steps: int, processors: Processors, stop: Sequence[str] = ()
) -> list[list[int]]:
    """What `stream` yields, in the order of the prompts."""
    answers: list[list[int]] = [[] for _ in prompts]
    for number, tokens in stream(chat, prompts, steps, processors, stop):
        answers[number] = tokens
    return answers


def stream(
    chat: Chat, prompts: Sequence[Sequence[int]], steps: int, processors: Processors, stop: Sequence[str] = ()
) -> Iterator[tuple[int, list[int]]]:
    """The number and the new tokens of each prompt, as their answers end: up to `steps`.

    What follows the token that ends an answer, or the text of `stop` (see `end_of`), means nothing. A model whose cache
    has no row for each prompt and no column for each token (states) is asked in the plain way: all prompts, padded on
    the left, until the last answer ends.
    """
    import torch

    cache = empty_cache(chat.model)
    windows = cache is not None and has_windows(chat.model)
    places = {tokens: place for place, tokens in enumerate(dict.fromkeys(map(tuple, prompts)))}
    shared = 0 if cache is None else _common(list(places))
    ids, mask = _padded(list(places), 0 if windows else shared, chat)
    width = ids.shape[1]
    rows = torch.tensor([places[tuple(prompt)] for prompt in prompts], device=chat.device)
    ends = torch.tensor(sorted(chat.ends), device=chat.device)
    options: dict[str, Any] = {} if cache is None else {"past_key_values": cache}
    if cache is None and stop:
        options["stopping_criteria"] = _stopping(chat, width, stop)
    answers: list[list[int]] = [[] for _ in prompts]
    going = list(range(len(prompts)))
    began = False
    while going:
        # What asks for answers works between two of them, outside of this mode.
        with torch.inference_mode():
            if not began and cache is not None:
                _prefill(chat.model, cache, ids, mask, next(iter(places))[:shared])
                if len(ids) < len(rows):
                    cache.batch_select_indices(rows)
            if not began:
                ids, mask, began = ids[rows], mask[rows], True
            before = ids.shape[1]
            left = width + steps - before
            ids = chat.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=left if cache is None else min(left, ROUND),
                logits_processor=processors(going, width),
                **options,
            )
            new = ids[:, before:]
            for number, tokens in zip(going, new.tolist(), strict=True):
                answers[number] += tokens
            goes_on = ~torch.isin(new, ends).any(dim=1)
            if stop:
                told = [end_of(chat, answers[number], stop) is None for number in going]
                goes_on &= torch.tensor(told, device=goes_on.device)
            if cache is None or ids.shape[1] >= width + steps:
                goes_on &= False
            on = goes_on.nonzero()[:, 0]
            if cache is not None and 0 < len(on) < len(going):
                cache.batch_select_indices(on)
            ids, mask = ids[on], torch.nn.functional.pad(mask, (0, new.shape[1]), value=1)[on]
        stays = set(on.tolist())
        ended = [number for place, number in enumerate(going) if place not in stays]
        going = [going[place] for place in on.tolist()]
        for number in ended:
            yield number, answers[number]


def end_of(chat: Chat, answer: Sequence[int], stop: Sequence[str]) -> int | None:
    """How many tokens of an answer there are when the first text of `stop` stands in it; None where none does.

    A special token is found by its text too, though it is left out of an answer's text.
    """

    def has(count: int) -> bool:
        told = chat.tokenizer.decode(list(answer[:count]), skip_special_tokens=False)
        return any(one in told for one in stop)

    if not stop or not has(len(answer)):
        return None
    return next(count for count in range(1, len(answer) + 1) if has(count))


def before(text: str, stop: Sequence[str]) -> str:
    """What stands before the first of the texts of `stop`."""
    return text[: min((place for one in stop if (place := text.find(one)) >= 0), default=len(text))]


def _stopping(chat: Chat, width: int, stop: Sequence[str]) -> Any:
    """What ends a row in the midst of transformers' `generate`."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Stopping(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
            told = [end_of(chat, row[width:], stop) is not None for row in input_ids.tolist()]
            return torch.tensor(told, device=input_ids.device)

    return StoppingCriteriaList([Stopping()])


def empty_cache(model: Any) -> Any:
    """A cache with a row for each prompt and a column for each token, which can be cut and repeated; None where the
    model keeps another kind, or transformers is too old to say so (before 4.56).

    Layers with a sliding window get all columns too, where transformers itself masks those before the window.
    """
    try:
        from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer
    except ImportError:
        return None
    config = _config(model)
    taken = inspect.signature(model.base_model.forward).parameters
    # Some rotary embeddings are scaled by the length of what is computed at once.
    scaling = str(getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None))
    if (
        getattr(model, "_is_stateful", False)
        or not {"position_ids", "past_key_values"} <= set(taken)
        or any(name in scaling for name in ("longrope", "dynamic"))
    ):
        return None
    try:
        cache = DynamicCache(config=config)
    except (TypeError, KeyError):  # a version that takes none, a type of layer that it does not know
        return None
    types = set(getattr(config, "layer_types", None) or [])
    if types <= {"full_attention"} and all(type(layer) is DynamicLayer for layer in cache.layers):
        return cache
    windows = {"full_attention", "sliding_attention"}
    usual = types <= windows and {type(layer) for layer in cache.layers} <= {DynamicLayer, DynamicSlidingWindowLayer}
    return DynamicCache() if usual and has_windows(model) and _masks_windows(model) else None


def has_windows(model: Any) -> bool:
    """Whether a layer attends to the last columns alone: no padding may then stand between tokens of a prompt."""
    return getattr(_config(model), "sliding_window", None) is not None


def _config(model: Any) -> Any:
    return model.config.get_text_config(decoder=True)


def _masks_windows(model: Any) -> bool:
    """Whether the model's windows are a mask over columns that transformers makes, and nothing else."""
    config, code = _config(model), sys.modules[type(model.base_model).__module__]
    return (
        any(hasattr(code, name) for name in ("create_sliding_window_causal_mask", "create_masks_for_generate"))
        and not getattr(config, "num_kv_shared_layers", None)  # layers that read what others keep
        and not getattr(config, "use_bidirectional_attention", None)
        and getattr(config, "is_causal", True)
    )


def _common(prompts: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all prompts begin with, the last of each left out: its logits are what `generate` begins with."""
    first, last = min(prompts), max(prompts)
    same = next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return min(len(first), len(last)) - 1 if same is None else min(same, min(map(len, prompts)) - 1)


def _padded(prompts: Sequence[Sequence[int]], shared: int, chat: Chat) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and attention mask, both `(prompts, width)`, padded after the first `shared` tokens.

    Positions are counted along the mask, so that padding there moves nothing.
    """
    import torch

    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), chat.padding)
    mask = torch.zeros_like(ids)
    ids[:, :shared] = torch.tensor(prompts[0][:shared])
    mask[:, :shared] = 1
    for row, tokens in enumerate(prompts):
        rest = tokens[shared:]
        ids[row, width - len(rest) :] = torch.tensor(rest)
        mask[row, width - len(rest) :] = 1
    return ids.to(chat.device), mask.to(chat.device)


def _prefill(model: Any, cache: Any, ids: torch.Tensor, mask: torch.Tensor, start: tuple[int, ...]) -> None:
    """Fill the cache with all columns but the last; `start` is what all rows begin with, and is computed once.

    Rows that are padded before it have it further to the right: its last tokens are then computed with what follows.
    """
    import torch

    rows, width = ids.shape
    shared = len(start)
    if shared:
        model.base_model(input_ids=torch.tensor([start], device=ids.device), past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(rows)
        padded = (1 - mask).argmin(dim=1)
        if padded.any():
            columns = (torch.arange(shared, device=ids.device) - padded[:, None]).clamp(min=0)[:, None, :, None]
            for layer in cache.layers:
                layer.keys = layer.keys.take_along_dim(columns, dim=2)
                layer.values = layer.values.take_along_dim(columns, dim=2)
    if shared < width - 1:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        model.base_model(
            input_ids=ids[:, shared : width - 1],
            attention_mask=mask[:, : width - 1],
            position_ids=positions[:, shared : width - 1],
            past_key_values=cache,
            use_cache=True,
        )
