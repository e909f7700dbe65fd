"""Sampling whose draws belong to the query: the same with any batch size, order, or after a restart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def uniforms(seed: int, query_id: str, count: int) -> np.ndarray:
    """`count` numbers in [0, 1), float64, decided by seed and query alone.

    Step k uses number k, so a longer row starts with the shorter one. The raw stream of Philox is the same in every
    version of NumPy, which is not promised of `Generator.random`.
    """
    key = int.from_bytes(hashlib.sha256(f"{seed}\0{query_id}".encode()).digest()[:16], "little")
    return (np.random.Philox(key=key).random_raw(count) >> np.uint64(11)) * 2.0**-53


def seed_of(seed: int, key: str) -> int:
    """The seed that goes with one request to an engine which draws by itself, from 0 to 2³¹ − 1: decided by the run's
    seed and the request."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{key}".encode()).digest()[:4]) >> 1


class SeededSampling:
    """A logits processor that leaves one token possible: the one drawn with the query's own number of this step.

    The number is looked up in the cumulative distribution over the vocabulary (inverse transform sampling), after
    temperature and the nucleus of `top_p`. Used with greedy decoding, which then has no choice.
    """

    def __init__(self, draws: np.ndarray, prompt_length: int, temperature: float, top_p: float) -> None:
        """`draws` has shape `(rows, steps)`: the `uniforms` of each row's query."""
        self.draws, self.prompt_length, self.temperature, self.top_p = draws, prompt_length, temperature, top_p

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`input_ids` `(rows, length)`, `scores` `(rows, vocabulary)`."""
        import torch

        step = input_ids.shape[1] - self.prompt_length
        draw = torch.from_numpy(np.ascontiguousarray(self.draws[:, step : step + 1])).to(scores.device)
        probability = (scores.float() / self.temperature).softmax(-1)
        if self.top_p < 1:
            ordered, tokens = probability.sort(dim=-1, descending=True, stable=True)
            # A token stays while those before it have not filled the nucleus yet, so the first always stays.
            outside = ordered.cumsum(-1) - ordered >= self.top_p
            probability = probability.scatter(-1, tokens, ordered.masked_fill(outside, 0.0))
        mass = probability.double().cumsum(-1)
        chosen = torch.searchsorted(mass, draw * mass[:, -1:], right=True)
        last = (probability > 0).long() * torch.arange(1, probability.shape[1] + 1, device=scores.device)
        chosen = chosen.clamp(max=last.amax(-1, keepdim=True) - 1)
        return torch.full_like(scores, -torch.inf).scatter(-1, chosen, 0.0)


def batch_draws(seed: int, query_ids: Sequence[str], steps: int) -> np.ndarray:
    """The draws of a batch, shape `(queries, steps)`."""
    return np.stack([uniforms(seed, query_id, steps) for query_id in query_ids])
