"""What stands in the place of TRL's own computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import Place
from grapebench.training import grape, trainer
from grapebench.training.config import fill
from grapebench.training.material import find


def test_log_probabilities_and_their_gradients_are_trls(
    letters: Path, settings: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    made = trainer._class()
    ours, theirs = (one._get_per_token_logps_and_entropies for one in made.__mro__[:2])
    compared = []

    def both(self: Any, model: Any, ids: Any, mask: Any, keep: int, **options: Any) -> Any:
        said = mask[:, -keep:].bool()
        found = []
        model.zero_grad()  # of the first part of a step, where this is the second
        for way in (theirs, ours):
            logps, entropies, _ = way(self, model, ids, mask, keep, **options)
            gradients = {}
            if logps.requires_grad:
                logps[said].square().sum().backward()
                gradients = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
                model.zero_grad()
            found.append((logps[said].detach(), None if entropies is None else entropies[said].detach(), gradients))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
        compared.append(bool(found[0][2]))
        return ours(self, model, ids, mask, keep, **options)

    monkeypatch.setattr(made, "_get_per_token_logps_and_entropies", both)
    monkeypatch.setattr(trainer, "_class", lambda: made)
    values = settings(steps=2, val_every=2, temperature=0.7, micro_batch=8)
    grape.train(find(fill(values), Place.of(Path("data"))), letters / "out", lambda *_: None)
    # Of the policy, with gradients, and of the reference model, without.
    assert True in compared and False in compared
