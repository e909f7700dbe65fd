"""How likely a model finds the tokens of answers; what attempts at one prompt share is computed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def logits(model: Any, cache: Any, tokens: torch.Tensor, mask: torch.Tensor, answer: int) -> torch.Tensor:
    """Of the last `answer` tokens of each row, `(rows, answer, vocabulary)`, float32; gradients reach all weights.

    `tokens` and `mask` `(rows, prompt + answer)` hold prompts padded on the left and answers padded on the right. With
    an empty `cache` rows of equal prompts share the computation of these, which is most of a step where prompts are
    long. The prompt's last token goes with the answer: its logits are the first token's.
    """
    import torch

    width = tokens.shape[1] - answer
    prompts = list(zip(tokens[:, :width].tolist(), mask[:, :width].tolist(), strict=True))
    firsts: dict[str, int] = {}
    for row, prompt in enumerate(prompts):
        firsts.setdefault(str(prompt), row)
    if cache is None or width == 1 or len(firsts) == len(tokens):
        found = model(input_ids=tokens, attention_mask=mask, logits_to_keep=answer + 1, use_cache=False)
        return found.logits[:, :-1].float()  # type: ignore[no-any-return]
    distinct, places = list(firsts.values()), {prompt: place for place, prompt in enumerate(firsts)}
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    model(
        input_ids=tokens[distinct, : width - 1],
        attention_mask=mask[distinct, : width - 1],
        position_ids=positions[distinct, : width - 1],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    cache.batch_select_indices(torch.tensor([places[str(prompt)] for prompt in prompts], device=tokens.device))
    found = model(
        input_ids=tokens[:, width - 1 :],
        attention_mask=mask,
        position_ids=positions[:, width - 1 :],
        past_key_values=cache,
        use_cache=True,
    )
    return found.logits[:, :-1].float()  # type: ignore[no-any-return]
