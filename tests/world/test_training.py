from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.paths import cache_dir
from grapebench.world.training import build, clip, lm
from grapebench.world.training.examples import FAMILIES
from grapebench.world.training.loop import Schedule, fit
from grapebench.world.training.side_by_side import gradients, threads


class _Stop(Exception):
    pass


def _train(folder: Path, stop_at: int | None = None, matrices: Sequence[str] = ()) -> list[float]:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)

    def gradients_at(step: int) -> tuple[torch.Tensor, ...]:
        if step == stop_at:
            raise _Stop
        inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        loss = ((model(inputs) - inputs.sum(1, keepdim=True)) ** 2).mean()
        return torch.autograd.grad(loss, list(model.parameters()))

    fit(model, gradients_at, Schedule(steps=30, learning_rate=0.05, warmup=3, save_every=5), folder, matrices)
    return [float(value) for parameter in model.parameters() for value in parameter.detach().flatten()]


@pytest.mark.parametrize("matrices", [(), ("weight",)], ids=["adamw", "muon"])
@pytest.mark.parametrize("stop_at", [1, 7, 20, 29])
def test_a_stopped_training_ends_where_an_unbroken_one_does(
    tmp_path: Path, stop_at: int, matrices: Sequence[str]
) -> None:
    with pytest.raises(_Stop):
        _train(tmp_path / "broken", stop_at, matrices)
    assert _train(tmp_path / "broken", None, matrices) == _train(tmp_path / "whole", None, matrices)


def test_matrices_step_in_all_directions_alike(tmp_path: Path) -> None:
    """Muon's step is the gradient's nearest matrix with orthonormal rows, as long as a step of AdamW."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Linear(8, 8)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    scales = torch.diag(torch.logspace(-1, 0, 8))
    given = [scales, torch.ones(8)]
    fit(model, lambda _: given, Schedule(1, 0.1, warmup=1, weight_decay=0.0), tmp_path, ["weight"])
    moved = before["weight"] - model.weight.detach()
    singular = torch.linalg.svdvals(moved) / (0.1 * 0.2 * 8**0.5)
    assert singular.min() > 0.6 and singular.max() < 1.3, "of a gradient whose own span a factor of ten"
    assert torch.allclose(before["bias"] - model.bias.detach(), torch.full((8,), 0.1), rtol=1e-3)


def test_a_finished_training_is_not_made_again(tmp_path: Path) -> None:
    assert _train(tmp_path) == _train(tmp_path, stop_at=0)


def test_what_is_not_learnt_stays_and_is_not_stored(tmp_path: Path) -> None:
    import torch
    from safetensors import safe_open

    model = torch.nn.Linear(4, 1)
    model.bias.requires_grad_(False)
    bias = model.bias.clone()
    ones = lambda _: [torch.ones_like(model.weight)]  # noqa: E731
    fit(model, ones, Schedule(steps=4, learning_rate=0.1, save_every=2), tmp_path)
    assert torch.equal(model.bias, bias)
    with safe_open(tmp_path / "training.safetensors", framework="pt") as file:
        assert not [key for key in file.keys() if key.endswith("bias")]  # noqa: SIM118
    again = torch.nn.Linear(4, 1)
    again.bias.requires_grad_(False)
    fit(again, ones, Schedule(steps=4, learning_rate=0.1, save_every=2), tmp_path)
    assert torch.equal(again.weight, model.weight)


def test_all_models_are_kept_until_the_last_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path))
    trained: list[str] = []

    def train(folder: Path, work: Path, report: object) -> None:
        trained.append(folder.name)
        (work / "training.safetensors").touch()
        if folder.name == "mini-lm" and trained.count("mini-lm") == 1:
            raise _Stop

    monkeypatch.setattr(clip, "train", train)
    monkeypatch.setattr(lm, "train", train)
    with pytest.raises(_Stop):
        build(["mini-clip", "mini-lm"], tmp_path / "out")
    works = cache_dir() / "training"
    assert sorted(path.parent.name for path in works.rglob("*.safetensors")) == ["mini-clip", "mini-lm"]
    build(["mini-clip", "mini-lm"], tmp_path / "out")
    assert list(works.iterdir()) == []


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mini-clip, mini-lm"):
        build(["mini-vlm"], tmp_path)


def test_gradients_are_those_of_each_answer_alone() -> None:
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder = catalog.folder() / "baselines" / "models" / "mini-lm"
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokeniser = AutoTokenizer.from_pretrained(folder)
    rng = random.Random(4)
    batches, alone, tokens = [], [], 0
    for family, make in FAMILIES.items():
        examples = [make(rng) for _ in range(lm.ROWS + 3 if family != "condense" else 2)]
        prompt = lm._messages()[family]
        batches += lm._batches(tokeniser, prompt, examples)
        for example in examples:
            text = tokeniser.apply_chat_template(
                prompt.messages(example.query), tokenize=False, add_generation_prompt=True
            )
            head = tokeniser(text, add_special_tokens=False)["input_ids"]
            tail = tokeniser(example.answer + tokeniser.eos_token, add_special_tokens=False)["input_ids"]
            logits = model(torch.tensor([head + tail])).logits[0, len(head) - 1 : -1]
            alone.append(torch.nn.functional.cross_entropy(logits, torch.tensor(tail), reduction="sum"))
            tokens += len(tail)
    assert len(batches) == 5
    expected = torch.autograd.grad(torch.stack(alone).sum() / tokens, list(model.parameters()))
    losses = [partial(lm._loss, model, batch, tokeniser.pad_token_id, tokens) for batch in batches]
    before = torch.get_num_threads()
    with threads() as pool:
        found = gradients(pool, losses, model)
        alone_at_work = gradients(ThreadPoolExecutor(1), losses, model)
    assert torch.get_num_threads() == before
    assert all(torch.equal(one, other) for one, other in zip(found, alone_at_work, strict=True)), "by cores"
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= 1e-4 * other.abs().max()
