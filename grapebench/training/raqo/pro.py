"""Preference ranking optimisation (PRO): the losses of ranked lists of answers, as functions of tensors.

An answer's score s is the mean log-probability of its tokens, its reward r what it was ranked by, and a temperature is
the inverse of a difference of rewards. Losses multiply by the differences themselves, so that equal rewards are the
limit of ever closer ones, and no division by zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def raqo(scores: torch.Tensor, rewards: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """RAQO's loss (its equation 3) of each list, `(lists,)`: the sum over j of
    −log( exp(s_j / τ_j) / Σ_{i≥j} exp(s_i / τ_j) ) with τ_j = min_{i>j} 1 / (r_j − r_i).

    `scores`, `rewards` (descending) and `there` (False where a list is shorter) are `(lists, candidates)`.
    """
    widest = _widest(rewards, there)
    # Row j of each list is a softmax over itself and what is ranked below, all by the one temperature of j.
    return _ranked(scores[:, None, :] * widest[:, :, None], there)


def original(scores: torch.Tensor, rewards: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """The loss of each list as PRO was published, `(lists,)`: an answer i below j has a temperature of its own,
    1 / (r_j − r_i), and j the least of these (Song et al., AAAI 2024, with their temperatures).

    Shapes as in `raqo`; their supervised term is `supervised`.
    """
    import torch

    gaps = rewards[:, :, None] - rewards[:, None, :]
    own = torch.diag_embed(_widest(rewards, there))
    return _ranked(scores[:, None, :] * (gaps.triu(1) + own), there)


def supervised(log_likelihood: torch.Tensor, there: torch.Tensor, weight: float) -> torch.Tensor:
    """What PRO adds to the loss of each list, `(lists,)`: weight · (n − 1)² times the negative log-likelihood of the
    best of its n answers, summed over tokens; theirs is weight = 0.05."""
    return -weight * (there.sum(1) - 1).square() * log_likelihood


def _widest(rewards: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """1 / τ_j: how far the last answer of a list is below each, `(lists, candidates)`; 0 for what is not there."""
    last = there.sum(1, keepdim=True) - 1
    return (rewards - rewards.gather(1, last)).masked_fill(~there, 0.0)


def _ranked(weighed: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """`(lists,)`: the sum over j of −log softmax of `weighed[:, j, j:]`, `(lists, candidates, candidates)`, at j."""
    import torch

    count = there.shape[1]
    below = torch.ones(count, count, dtype=torch.bool, device=there.device).triu()
    among = below & there[:, None, :] & there[:, :, None]
    # A finite number for what is not there: gradients through rows that are left out stay zero, and no NaN.
    total = weighed.masked_fill(~among, torch.finfo(weighed.dtype).min).logsumexp(-1)
    terms = total - weighed.diagonal(dim1=1, dim2=2)
    return terms.masked_fill(~there, 0.0).sum(1)
