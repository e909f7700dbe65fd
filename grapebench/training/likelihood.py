"""How likely a model finds the tokens of answers; what attempts at one prompt share is computed once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from grapebench.rewriters.engines.decoding import empty_cache
from grapebench.training import head

if TYPE_CHECKING:
    import torch


def of_answers(
    model: Any,
    bare: Any,
    tokens: torch.Tensor,
    mask: torch.Tensor,
    answer: int,
    share: bool = True,
    temperature: float = 1.0,
    entropy: head.Entropy = "none",
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probabilities of the last `answer` tokens of each row, and the entropies there, both `(rows, answer)`,
    float32, in nats; 0 where the mask is. Gradients reach all weights.

    `tokens` and `mask` `(rows, prompt + answer)` hold prompts padded on the left and answers padded on the right. With
    `share`, rows of equal prompts share the computation of these, which is most of a step where prompts are long; the
    prompt's last token goes with the answer: what follows it is the first token's. `bare` is the causal model in
    `model`, which may be wrapped to train in several processes.
    """

    known = inspect.signature(bare.base_model.forward).parameters
    inputs = {"input_ids": tokens, "attention_mask": mask}
    if "position_ids" in known:
        # Counted along the mask, as in generation: padding moves nothing.
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = _of_prompts(bare, inputs, answer) if share else None
    if cache is None:
        output, made = _body(model, bare, **inputs, use_cache=False)
    else:
        last = {name: value[:, -answer - 1 :] for name, value in inputs.items()} | {"attention_mask": mask}
        output, made = _body(model, bare, **last, past_key_values=cache, use_cache=True)
    said = mask[:, -answer:].bool()
    wanted = tokens[:, -answer:][said]
    if _head_is_known(bare, output, made):
        hidden = output.last_hidden_state[:, -answer - 1 : -1][said]
        scored = head.score(bare, output, hidden, wanted, made.logits.shape[-1], temperature, entropy)
    else:
        logits = model(**inputs, use_cache=False).logits[:, -answer - 1 : -1][said]
        scored = head.of_logits(logits, wanted, temperature, entropy)
    chosen, entropies = (None if one is None else _at(said, one) for one in scored)
    assert chosen is not None
    return chosen, entropies


def _at(places: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return values.new_zeros(places.shape).masked_scatter(places, values)


def _of_prompts(bare: Any, inputs: dict[str, torch.Tensor], answer: int) -> Any:
    """A cache of all prompts without their last tokens, a row for each; None where nothing is shared, or the model's
    cache cannot be."""
    import torch

    tokens, mask = inputs["input_ids"], inputs["attention_mask"]
    end = tokens.shape[1] - answer - 1
    prompts = zip(tokens[:, : end + 1].tolist(), mask[:, : end + 1].tolist(), strict=True)
    names = [str(prompt) for prompt in prompts]
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    cache = empty_cache(bare) if end and len(places) < len(names) else None
    if cache is not None:
        rows = [names.index(name) for name in places]
        bare.base_model(
            **{name: value[rows, :end] for name, value in inputs.items()}, past_key_values=cache, use_cache=True
        )
        cache.batch_select_indices(torch.tensor([places[name] for name in names], device=tokens.device))
    return cache


def _body(model: Any, bare: Any, **inputs: Any) -> tuple[Any, Any]:
    """What the body gives for the inputs, and what the model makes of the mean of its hidden states.

    The whole model is called, for what wraps it may count on that; its head gets one hidden state, to which all tokens
    have added. The first is None where the model has no body that gives hidden states, once.
    """
    found = []

    def take(_: Any, __: Any, output: Any) -> Any:
        if getattr(output, "last_hidden_state", None) is None:
            return None
        found.append(output)
        return type(output)(**dict(output) | {"last_hidden_state": _mean(output)})

    hook = bare.base_model.register_forward_hook(take)
    try:
        made = model(**inputs)
    finally:
        hook.remove()
    return found[0] if len(found) == 1 else None, made


def _mean(output: Any) -> torch.Tensor:
    return output.last_hidden_state.mean((0, 1), keepdim=True)  # type: ignore[no-any-return]


def _head_is_known(bare: Any, output: Any, made: Any) -> bool:
    """Whether what we take for the model's output layer makes of the mean what the model itself did."""
    import torch

    if output is None:
        return False
    with torch.no_grad():
        try:
            ours = head.logits(bare, output, _mean(output))
        except Exception:  # of any model's own code
            return False
        return ours.shape == made.logits.shape and torch.allclose(
            ours.float(), made.logits.float(), rtol=1e-3, atol=1e-4, equal_nan=True
        )
