"""One stage of RAQO: what it starts from, what it learns from, and the weights that come of it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import files
from grapebench.rewriters import models
from grapebench.training import policy, sft
from grapebench.training.order import order

if TYPE_CHECKING:
    from grapebench.rewriters.models import Chat
    from grapebench.rewriters.prompted import Local
    from grapebench.training.raqo.config import RaqoConfig, Stage
    from grapebench.training.raqo.examples import Example

Told = Callable[[int, int], None]
"""Called with how many steps of how many there were."""


def weights(folder: Path, full: bool) -> Path:
    """Where a stage's weights are: a folder that is whole or not there."""
    return folder / (policy.MODEL if full else policy.ADAPTER)


def begin(config: RaqoConfig, rewriter: Local, start: Path | None, base: str) -> Chat:
    """The model as a stage begins with it: untrained, or with the weights in `start`.

    Raises UserError for an adapter of another model.
    """
    engine: Any = rewriter.engine
    if config.full:
        return policy.load(start or engine.model.folder, "float32")
    from peft import get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers import set_seed

    if start is not None:
        models.check_base(models.Located(start), engine.model)
    chat = policy.load(engine.model.folder, engine.settings.dtype)
    set_seed(config.seed)  # what an adapter starts from is drawn
    model = get_peft_model(chat.model, policy.lora_config(config.lora, base))
    if start is not None:
        set_peft_model_state_dict(model, load_file(start / "adapter_model.safetensors"))
    return dataclasses.replace(chat, model=model)


def learn(
    stage: Stage, config: RaqoConfig, chat: Chat, examples: Sequence[Example], folder: Path, base: str, told: Told
) -> None:
    """Train the model of `chat` in `folder`, from the last checkpoint there where there is one. A step is of all
    examples where these are fewer than the batch."""
    from grapebench.training.raqo import fitting

    fit = fitting.within(getattr(config, stage), len(examples))
    lengths = [len(one.prompt) + max(map(len, one.answers)) for one in examples]
    steps = fit.epochs * (len(examples) // fit.batch)
    rows = [examples[place] for place in order(lengths, steps, fit.batch, config.seed, stage).ravel()]
    keeper = fitting.Keeper(
        folder, config.save_every, f"raqo/{stage}/{config.seed}", fitting.saving(base, chat.tokenizer), told
    )
    common = fitting.arguments(fit, steps, config.seed, _half(chat), folder / "trainer")
    made = _ranking(config, chat, rows, common) if stage == "pro" else _supervised(chat, rows, common)
    fitting.run(made, keeper)
    shutil.rmtree(folder / "trainer", ignore_errors=True)


def keep(config: RaqoConfig, rewriter: Local, chat: Chat, folder: Path, base: str) -> None:
    """Write the weights of a stage that is at its end, and remove what it could have gone on from."""
    from grapebench.training.raqo import fitting

    engine: Any = rewriter.engine
    with files.atomic_folder(weights(folder, config.full)) as temporary:
        fitting.saving(base, chat.tokenizer)(chat.model, temporary)
        if not config.full:
            models.write_base(temporary, engine.model)
    fitting.clear(folder)


def _supervised(chat: Chat, rows: Sequence[Example], common: dict[str, Any]) -> Any:
    from trl import SFTTrainer

    from grapebench.training.raqo.fitting import InOrder

    kind = type("SupervisedTrainer", (InOrder, SFTTrainer), {})
    return sft.trainer(kind, chat, chat.model, [row.prompt for row in rows], [row.answers[0] for row in rows], common)


def _ranking(config: RaqoConfig, chat: Chat, rows: Sequence[Example], common: dict[str, Any]) -> Any:
    from datasets import Dataset

    from grapebench.training.raqo.fitting import InOrder
    from grapebench.training.raqo.pro_trainer import PROConfig, PROTrainer

    arguments = PROConfig(
        **common,
        form=config.pro.form,
        reward_scale=config.pro.reward_scale,
        sft_weight=config.pro.sft_weight,
        remove_unused_columns=False,
    )
    data = Dataset.from_list(
        [{"prompt_ids": row.prompt, "answer_ids": row.answers, "rewards": row.rewards} for row in rows]
    )
    kind = type("RankingTrainer", (InOrder, PROTrainer), {})
    return kind(chat.model, arguments, data, chat.padding)


def _half(chat: Chat) -> bool:
    """Whether there is a device for bfloat16 and the model is in it."""
    import torch

    return torch.cuda.is_available() and str(chat.model.dtype) == "torch.bfloat16"
