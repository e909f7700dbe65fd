"""A trainer of ranked lists in the manner of TRL's: prompts, several answers to each, and what ranked these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from grapebench.training import likelihood, policy
from grapebench.training.raqo import pro

FORMS = {"raqo": pro.raqo, "pro": pro.original}


@dataclass
class PROConfig(TrainingArguments):  # type: ignore[misc]
    """The arguments of `transformers.TrainingArguments`, and those of the loss; a row is a prompt with its answers."""

    form: str = field(default="raqo", metadata={"help": "The loss: 'raqo' or 'pro'."})
    reward_scale: float = field(default=1.0, metadata={"help": "What rewards are multiplied by."})
    sft_weight: float = field(default=0.05, metadata={"help": "Of the supervised term on the best answer ('pro')."})


@dataclass(frozen=True)
class Lists:
    """Makes a batch of rows {'prompt_ids', 'answer_ids', 'rewards'}, answers best first; `R` answers of `L` lists."""

    padding: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask` `(R, prompt + answer)`, prompts padded on the left and answers on the right;
        `answer_mask` `(R, answer)`; `places` `(R, 2)`, the list of each answer and its place there; `rewards` and
        `there` `(L, candidates)`."""
        pairs = [(row["prompt_ids"], answer) for row in rows for answer in row["answer_ids"]]
        before, after = (max(len(pair[side]) for pair in pairs) for side in (0, 1))
        width = max(len(row["rewards"]) for row in rows)
        tokens, mask = [], []
        for head, tail in pairs:
            left, right = before - len(head), after - len(tail)
            tokens.append([self.padding] * left + head + tail + [self.padding] * right)
            mask.append([0] * left + [1] * (len(head) + len(tail)) + [0] * right)
        rewards = torch.zeros(len(rows), width)
        for number, row in enumerate(rows):
            rewards[number, : len(row["rewards"])] = torch.tensor(row["rewards"])
        counts = torch.tensor([len(row["rewards"]) for row in rows])
        return {
            "input_ids": torch.tensor(tokens),
            "attention_mask": torch.tensor(mask),
            "answer_mask": torch.tensor(mask)[:, before:].bool(),
            "places": torch.tensor(
                [[number, place] for number, row in enumerate(rows) for place in range(len(row["rewards"]))]
            ),
            "rewards": rewards,
            "there": torch.arange(width) < counts[:, None],
        }


class PROTrainer(Trainer):  # type: ignore[misc]
    """Answers to one prompt share its computation. What is logged beside the loss is `ordered`: the share of pairs of
    answers of different rewards in which the better one is the likelier."""

    args: PROConfig

    def __init__(self, model: Any, args: PROConfig, train_dataset: Any, padding: int, **more: Any) -> None:
        super().__init__(model=model, args=args, train_dataset=train_dataset, data_collator=Lists(padding), **more)
        # The loss is a mean over the lists of what is taken at once: the trainer divides by how often that is.
        self.model_accepts_loss_kwargs = False
        self._ordered: list[float] = []

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *more: Any, **options: Any) -> torch.Tensor:
        total = self.log_likelihoods(model, inputs)
        rows, places = inputs["places"].unbind(1)
        there, rewards = inputs["there"], inputs["rewards"] * self.args.reward_scale
        empty = torch.zeros_like(rewards)
        scores = empty.index_put((rows, places), total / inputs["answer_mask"].sum(1))
        loss = FORMS[self.args.form](scores, rewards, there)
        if self.args.form == "pro":
            loss = loss + pro.supervised(total[places == 0], there, self.args.sft_weight)
        self._ordered.append(_ordered(scores.detach(), rewards, there))
        return loss.mean()

    def log_likelihoods(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Of each answer's tokens, summed, `(R,)`, in nats."""
        said = inputs["answer_mask"]
        bare = policy.bare(self.accelerator.unwrap_model(model))
        with self.accelerator.autocast():
            found, _ = likelihood.of_answers(bare, bare, inputs["input_ids"], inputs["attention_mask"], said.shape[1])
        return found.sum(1)

    def log(self, logs: dict[str, float], *more: Any) -> None:
        known = [one for one in self._ordered if one == one]
        if "loss" in logs and known:
            logs["ordered"] = sum(known) / len(known)
        self._ordered.clear()
        super().log(logs, *more)


def _ordered(scores: torch.Tensor, rewards: torch.Tensor, there: torch.Tensor) -> float:
    """NaN where no two rewards differ."""
    pairs = (rewards[:, :, None] > rewards[:, None, :]) & there[:, :, None] & there[:, None, :]
    right = scores[:, :, None] > scores[:, None, :]
    return float(right[pairs].float().mean())
