"""The trainer of ranked lists: log-likelihoods, losses and steps are those of each answer alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grapebench.training.raqo.pro_trainer import FORMS, Lists, PROConfig, PROTrainer

ROWS: list[dict[str, Any]] = [
    {"prompt_ids": [7, 8, 9, 10], "answer_ids": [[20, 21, 2], [22, 2], [23, 24, 25, 2]], "rewards": [0.5, 0.3, 0.3]},
    {"prompt_ids": [12], "answer_ids": [[20, 2], [30, 31, 32, 33, 2]], "rewards": [0.9, 0.1]},
    {"prompt_ids": [7, 8], "answer_ids": [[40, 2], [41, 2]], "rewards": [0.2, 0.2]},
    {"prompt_ids": [9, 9, 9], "answer_ids": [[2], [41, 42, 2], [50, 51, 2], [43, 2]], "rewards": [0.4, 0.3, 0.2, 0.1]},
]


@pytest.fixture
def model(tiny_lm: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_lm)


def trainer(model: Any, folder: Path, **changes: Any) -> PROTrainer:
    told = {
        "max_steps": 1,
        "per_device_train_batch_size": 4,
        "reward_scale": 10.0,
        "learning_rate": 0.1,
        "optim": "sgd",
        **changes,
    }
    arguments = PROConfig(
        output_dir=str(folder), remove_unused_columns=False, report_to="none", disable_tqdm=True, save_strategy="no",
        logging_steps=1, use_cpu=True, lr_scheduler_type="constant", **told,
    )  # fmt: skip
    return PROTrainer(model, arguments, ROWS, 0)


def alone(model: Any, prompt: list[int], answer: list[int]) -> Any:
    """The log-likelihood of an answer, computed by itself."""
    import torch

    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1)[torch.arange(len(answer)), answer].sum()


def test_log_likelihoods(model: Any, tmp_path: Path) -> None:
    import torch

    batch = Lists(0)(ROWS)
    assert batch["places"].tolist() == [
        [0, 0],
        [0, 1],
        [0, 2],
        [1, 0],
        [1, 1],
        [2, 0],
        [2, 1],
        *[[3, n] for n in range(4)],
    ]
    assert batch["there"].sum(1).tolist() == [3, 2, 2, 4]
    found = trainer(model, tmp_path).log_likelihoods(model, batch)
    wanted = [alone(model, row["prompt_ids"], answer) for row in ROWS for answer in row["answer_ids"]]
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", list(FORMS))
def test_the_loss_and_its_gradients(model: Any, tmp_path: Path, form: str) -> None:
    import torch

    made = trainer(model, tmp_path, form=form, sft_weight=0.5)
    found = made.compute_loss(model, Lists(0)(ROWS))
    found.backward()
    gradients = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    model.zero_grad()
    wanted = 0
    for row in ROWS:
        totals = [alone(model, row["prompt_ids"], answer) for answer in row["answer_ids"]]
        scores = torch.stack([total / len(answer) for total, answer in zip(totals, row["answer_ids"], strict=True)])
        rewards = 10.0 * torch.tensor(row["rewards"])
        wanted = wanted + FORMS[form](scores[None], rewards[None], torch.ones(1, len(totals), dtype=torch.bool))[0] / 4
        if form == "pro":
            wanted = wanted - 0.5 * (len(totals) - 1) ** 2 * totals[0] / 4
    assert isinstance(wanted, torch.Tensor)
    torch.testing.assert_close(found.detach(), wanted.detach(), rtol=1e-4, atol=1e-4)
    wanted.backward()
    for name, one in model.named_parameters():
        torch.testing.assert_close(gradients[name], one.grad, rtol=1e-3, atol=1e-4)


def test_micro_batches_make_the_same_step(tiny_lm: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    after = []
    for size, parts in ((4, 1), (1, 4)):
        model = AutoModelForCausalLM.from_pretrained(tiny_lm)
        made = trainer(model, tmp_path, per_device_train_batch_size=size, gradient_accumulation_steps=parts)
        made.train()
        after.append({name: one.detach().clone() for name, one in model.named_parameters()})
        logged = made.state.log_history[0]
        assert logged["loss"] > 0 and 0 <= logged["ordered"] <= 1
    for name, one in after[0].items():
        torch.testing.assert_close(one, after[1][name], rtol=1e-4, atol=1e-5)


def test_lists_come_into_their_order(model: Any, tmp_path: Path) -> None:
    made = trainer(model, tmp_path, max_steps=30, optim="adamw_torch", learning_rate=0.01)
    made.train()
    told = [line["ordered"] for line in made.state.log_history if "ordered" in line]
    assert told[0] < 1 and told[-1] == 1
