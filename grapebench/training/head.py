"""How likely tokens are after given hidden states, computed a few tokens at a time.

A vocabulary of 262,144 tokens makes a gigabyte of the logits of a thousand tokens, and training needs them several
times over. So the output layer takes few tokens at once, and its logits are computed again on the way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

LOGITS = 2**24
"""So many are computed at once: 64 MiB in float32."""

Entropy = Literal["none", "fixed", "learned"]
"""Whether entropies are computed, and whether they have a gradient."""


def logits(model: Any, output: Any, hidden: torch.Tensor) -> torch.Tensor:
    """What a causal model makes of last hidden states of its body, `(rows, tokens, width)`: its head, and what it does
    to logits after that (soft-capping, scaling, a bias).

    It is the model's own forward that says so. `output` is what the body gave, for all else that this reads there.
    """
    given = type(output)(**dict(output) | {"last_hidden_state": hidden})
    return type(model).forward(_BodyDone(model, given)).logits  # type: ignore[no-any-return]


class _BodyDone:
    """A causal model whose body need not run: what it gives is known."""

    def __init__(self, model: Any, output: Any) -> None:
        self._model, self._output = model, output

    def __getattr__(self, name: str) -> Any:
        if name in {self._model.base_model_prefix, "base_model"}:
            return lambda *_, **__: self._output
        return getattr(self._model, name)


def score(
    model: Any,
    output: Any,
    hidden: torch.Tensor,
    tokens: torch.Tensor,
    vocabulary: int,
    temperature: float,
    entropy: Entropy,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probabilities of `tokens` `(tokens,)` after hidden states `(tokens, width)`, and the entropies there, both
    `(tokens,)`, float32, in nats."""
    import torch
    from torch.utils.checkpoint import checkpoint

    def some(hidden: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        # Of one row, which is contiguous: of several, torch may copy the head's weights for each.
        return of_logits(logits(model, output, hidden[None])[0], tokens, temperature, entropy)

    size = max(1, LOGITS // vocabulary)
    if len(tokens) <= size:
        return some(hidden, tokens)
    parts = [
        checkpoint(some, rows, wanted, use_reentrant=False, preserve_rng_state=False)
        for rows, wanted in zip(torch.split(hidden, size), torch.split(tokens, size), strict=True)
    ]
    entropies = [part for _, part in parts if part is not None]
    return torch.cat([part for part, _ in parts]), torch.cat(entropies) if entropies else None


def of_logits(
    logits: torch.Tensor, tokens: torch.Tensor, temperature: float, entropy: Entropy
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """As `score`, from logits `(tokens, vocabulary)`."""
    import torch

    every = (logits.float() / temperature).log_softmax(-1)
    chosen = every.gather(-1, tokens[:, None])[:, 0]
    if entropy == "none":
        return chosen, None
    with torch.set_grad_enabled(torch.is_grad_enabled() and entropy == "learned"):
        return chosen, -(every.exp() * every).sum(-1)
