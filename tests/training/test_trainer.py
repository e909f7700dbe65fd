"""What stands in the place of TRL's own computes the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from hashlib import sha256
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
    import trl

    ours, theirs = (one._get_per_token_logps_and_entropies for one in (made, trl.GRPOTrainer))
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


PRIVATE = {
    "_tokenize_prompts": "d2d27f7c9bfda85f",
    "_generate_single_turn": "e0f02e4fc094cefd",
    "_get_per_token_logps_and_entropies": "ea73c3909275851d",
    "_compute_loss": "80295546bbdbf6f7",
}
"""What of TRL's own is overridden or built upon without being promised, by the hash of its source."""


@pytest.mark.parametrize("name", PRIVATE)
def test_trls_private_methods_are_those_that_were_read(name: str) -> None:
    """Where this fails, TRL has changed: read its method anew, beside ours in `grapebench/training/trainer.py`, which
    stands in for it (arguments, what it returns, which settings it heeds), and the losses below; then pin it."""
    import trl

    source = inspect.getsource(getattr(trl.GRPOTrainer, name))
    assert sha256(source.encode()).hexdigest()[:16] == PRIVATE[name], f"TRL {trl.__version__} has another {name}"


@pytest.mark.parametrize("loss", ["grpo", "dapo", "dr_grpo", "bnpo"])
def test_losses_are_what_their_names_say(
    letters: Path, settings: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    """By hand, over a step that is learnt from in four parts. No rollout has been learnt from yet, so that a token's
    loss is minus its rollout's advantage."""
    import torch

    seen: list[tuple[float, Any, Any]] = []

    class Watched(trainer._class()):  # type: ignore[misc]
        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            found = super()._compute_loss(model, inputs)
            seen.append((float(found), inputs["advantages"].double(), inputs["completion_mask"].sum(1).double()))
            return found

    monkeypatch.setattr(trainer, "_class", lambda: Watched)
    values = settings(steps=1, val_every=1, beta=0.0, micro_batch=4, loss=loss, max_new_tokens=64)
    grape.train(find(fill(values), Place.of(Path("data"))), letters / "out", lambda *_: None)
    assert len(seen) == 4
    parts = [(advantages, lengths) for _, advantages, lengths in seen]
    advantages, lengths = (torch.cat(both) for both in zip(*parts, strict=True))
    assert lengths.unique().numel() > 1, "else all of them are one"
    expected = {
        "grpo": -advantages.mean(),
        "dapo": -(advantages * lengths).sum() / lengths.sum(),
        "dr_grpo": -(advantages * lengths).sum() / (len(lengths) * 64),
        "bnpo": sum(-(some * long).sum() / long.sum() for some, long in parts) / len(parts),
    }
    assert sum(one for one, *_ in seen) == pytest.approx(float(expected[loss]), abs=1e-6)
