"""The settings of a RAQO training: its data and its three stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from grapebench.cards import Suite
from grapebench.training import anchored
from grapebench.training.config import GrapeConfig, Lora, checked
from grapebench.training.raqo.settings_data import Data

Stage = Literal["ccd", "qre", "pro"]
"""Detection of challenging concepts, rewriting by them (both supervised), and the order of several rewrites."""
STAGES: tuple[Stage, ...] = get_args(Stage)


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fit(_Settings):
    """How one stage learns."""

    epochs: int = Field(default=3, ge=1)
    batch: int = Field(default=8, ge=1)
    """Queries a step."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Queries that are taken through the model at once; None is all of a step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: int = Field(default=5, ge=0)
    """Steps to the full learning rate, which then falls to zero as a cosine does."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.micro_batch is not None and self.batch % self.micro_batch:
            raise ValueError(f"micro_batch ({self.micro_batch}) must divide batch ({self.batch})")
        return self


class Qre(Fit):
    """How rewriting is learnt."""

    rehearsal: float = Field(default=0.5, ge=0)
    """Examples of detection that are shown again, for each one of rewriting: a small model else forgets to detect, and
    answers every question with a rewrite. The paper names none (0)."""


class Pro(Fit):
    """How the last stage learns."""

    form: Literal["raqo", "pro"] = "raqo"
    """The loss: RAQO's equation 3, or PRO as it was published, with a supervised term on the best rewrite."""
    candidates: int = Field(default=5, ge=2)
    """Rewrites of a query at most: the best ones."""
    reward_scale: float = Field(default=100.0, gt=0)
    """What rewards are multiplied by. Cosines differ by some hundredths, and a temperature is the inverse of that."""
    sft_weight: float = Field(default=0.05, ge=0)
    """Of the supervised term (form = 'pro'), times the square of the number of rewrites less one."""
    epochs: int = Field(default=4, ge=1)
    batch: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=3e-5, gt=0)


class RaqoConfig(_Settings):
    """Everything that determines a RAQO training, but the data and the weights that it names.

    The defaults are for the miniature's model. The paper's learning rates are 2e-5 (ccd), 1e-5 (qre) and 5e-7 (pro).
    """

    task: str
    suite: Suite = "mini"
    retriever: str | None = None
    """As in `grapebench run`; None is the suite's own."""
    rewriter: str = "recot"
    """The card that training starts from (mechanism `lm`): its model, prompts and captioner."""
    model: str | None = None
    """Another causal language model in Hugging Face format: a folder, or an id of the hub."""
    name: str | None = None
    """Of the card that is written; None is raqo-<task>."""
    full: bool = False
    """Train all weights, and not an adapter."""
    lora: Lora = Lora()
    """One adapter, which learns in every stage."""
    max_new_tokens: int | None = Field(default=None, ge=1)
    """Of a detection or a rewrite; None is the rewriter's own."""
    seed: int = Field(default=0, ge=0)
    val: Literal["val", "holdout"] = "val"
    """What the stages are measured on: the split val, or the queries of every twentieth training image, which are then
    not trained on (where val is the split that figures are reported on)."""
    val_queries: int = Field(default=500, ge=1)
    save_every: int = Field(default=50, ge=1)
    """Steps of a stage between checkpoints."""
    stages: tuple[Stage, ...] = STAGES
    """Which there are, in their order; the first begins with the untrained model."""
    data: Data = Data.model_validate({})
    ccd: Fit = Fit()
    qre: Qre = Qre()
    pro: Pro = Pro()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.stages or list(self.stages) != [stage for stage in STAGES if stage in self.stages]:
            raise ValueError(f"stages must be some of {', '.join(STAGES)}, in this order")
        return self

    @property
    def common(self) -> GrapeConfig:
        """What every training is told: a RAQO training's task and models are found as GRAPE's are."""
        shared = set(GrapeConfig.model_fields) & set(RaqoConfig.model_fields) - {"save_every"}
        return GrapeConfig.model_validate(self.model_dump(include=shared))


def fill(values: Mapping[str, Any], file: Path | None = None) -> RaqoConfig:
    """Checked settings, their paths made absolute. Raises UserError that names the first wrong one."""
    config = checked(RaqoConfig, values, file)
    common = anchored.anchored(config.common)
    data = config.data
    places = {
        "rewriter": data.rewriter and anchored.spec(data.rewriter),
        "captioner": data.captioner and anchored.spec(data.captioner),
        "optimise": data.optimise and anchored.absolute(data.optimise),
        "synonyms": data.synonyms if data.synonyms in (None, "wordnet") else anchored.absolute(str(data.synonyms)),
        "sentence_model": anchored.folder(data.sentence_model),
    }
    return config.model_copy(
        update={
            "task": common.task[0],
            "rewriter": common.rewriter,
            "model": common.model,
            "retriever": common.retriever,
            "data": data.model_copy(update=places),
        }
    )
