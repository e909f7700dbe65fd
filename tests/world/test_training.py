from __future__ import annotations

import random
from pathlib import Path

import pytest

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.world.training import build, lm
from grapebench.world.training.examples import FAMILIES
from grapebench.world.training.loop import Schedule, fit


class _Stop(Exception):
    pass


def _train(folder: Path, stop_at: int | None = None) -> list[float]:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)

    def loss_at(step: int) -> torch.Tensor:
        if step == stop_at:
            raise _Stop
        inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        return ((model(inputs) - inputs.sum(1, keepdim=True)) ** 2).mean()

    fit(model, loss_at, Schedule(steps=30, learning_rate=0.05, warmup=3, save_every=5), folder)
    return [float(value) for parameter in model.parameters() for value in parameter.detach().flatten()]


@pytest.mark.parametrize("stop_at", [1, 7, 20, 29])
def test_a_stopped_training_ends_where_an_unbroken_one_does(tmp_path: Path, stop_at: int) -> None:
    with pytest.raises(_Stop):
        _train(tmp_path / "broken", stop_at)
    assert _train(tmp_path / "broken") == _train(tmp_path / "whole")


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mini-clip, mini-lm"):
        build(["mini-vlm"], tmp_path)


def test_the_loss_of_answers_is_that_of_each_row_alone() -> None:
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder = catalog.folder() / "baselines" / "models" / "mini-lm"
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokeniser = AutoTokenizer.from_pretrained(folder)
    rng = random.Random(4)
    for family, make in FAMILIES.items():
        examples = [make(rng) for _ in range(lm.ROWS + 3 if family != "condense" else 2)]
        prompt = lm._messages()[family]
        with torch.inference_mode():
            loss, count = lm._answer_loss(model, tokeniser, prompt, examples)
            alone, tokens = 0.0, 0
            for example in examples:
                text = tokeniser.apply_chat_template(
                    prompt.messages(example.query), tokenize=False, add_generation_prompt=True
                )
                head = tokeniser(text, add_special_tokens=False)["input_ids"]
                tail = tokeniser(example.answer + tokeniser.eos_token, add_special_tokens=False)["input_ids"]
                logits = model(torch.tensor([head + tail])).logits[0, len(head) - 1 : -1]
                alone += torch.nn.functional.cross_entropy(logits, torch.tensor(tail), reduction="sum").item()
                tokens += len(tail)
        assert count == tokens
        assert loss.item() == pytest.approx(alone, rel=1e-4)
