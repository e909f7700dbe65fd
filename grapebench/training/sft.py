"""A supervised warm start: queries and captions of their pictures, as far as a task's training images have captions.

The miniature has a caption of every training image, in words that its retriever knows; for the full suite they are
the `oracle.jsonl` that a user puts beside the dataset. Whoever starts warm measures the captions as well as GRPO.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import files
from grapebench.errors import UserError
from grapebench.training import policy
from grapebench.training.order import mixture
from grapebench.training.rates import LearnsAtOnce

if TYPE_CHECKING:
    from grapebench.records import Task
    from grapebench.rewriters.models import Chat
    from grapebench.training.config import GrapeConfig

FOLDER = "sft"


def captions(task: Task) -> dict[str, str]:
    """A caption for each query whose picture has one, by query id. Raises UserError where there is none."""
    from grapebench.rewriters.oracle import FILE, read_captions

    path = task.root / FILE
    known = read_captions(path) if path.is_file() else {}
    found = {query.id: known[query.positives[0]] for query in task.queries if query.positives[0] in known}
    if not found:
        raise UserError(
            f"sft needs captions of the training images of {task.name}, and there are none",
            file=path,
            fix='write one JSON object a line: {"image": "<id>", "caption": "<text>"}, or leave sft out',
        )
    return found


def warm_start(
    config: GrapeConfig,
    chat: Chat,
    prompts: Sequence[Mapping[str, str]],
    answers: Sequence[Mapping[str, str]],
    folder: Path,
    base: str,
) -> Any:
    """`config.sft` steps of cross-entropy on the answers' tokens; returns the model, with its adapter where it has one.

    `prompts` and `answers` are by query id, one mapping a task; ids of different tasks differ.
    The result is kept in the training's folder: a training that goes on does not begin with it again.
    """
    from accelerate import PartialState
    from safetensors.torch import load_file

    place = folder / FOLDER
    weights = place / ("model.safetensors" if config.full else "adapter_model.safetensors")
    model = chat.model
    if not config.full:
        from peft import get_peft_model
        from transformers import set_seed

        set_seed(config.seed)  # what an adapter starts from is drawn
        model = get_peft_model(model, policy.lora_config(config.lora, base))
    state = PartialState()
    there = weights.is_file()
    state.wait_for_everyone()
    if not there:
        _fit(config, chat, model, prompts, answers, folder / "trl")
        if state.is_main_process:
            shutil.rmtree(folder / "trl", ignore_errors=True)
            with files.atomic_folder(place) as temporary:
                policy.save(model, model.state_dict(), temporary, base, chat.tokenizer)
        state.wait_for_everyone()
    learnt = load_file(weights)
    if config.full:
        model.load_state_dict(learnt, strict=False)
        # TRL reads the reference model from where the policy says that it came from.
        model.config._name_or_path = str(place)
    else:
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(model, learnt)
    return model


def _fit(
    config: GrapeConfig,
    chat: Chat,
    model: Any,
    prompts: Sequence[Mapping[str, str]],
    answers: Sequence[Mapping[str, str]],
    work: Path,
) -> None:
    from accelerate import PartialState
    from trl import SFTTrainer

    heads, tails, lengths = [], [], {}
    for task, asked, known in zip(config.task, prompts, answers, strict=True):
        ids = [one for one in asked if one in known]
        some = chat.tokenise([asked[one] for one in ids])
        heads += some
        tails += [[*tail, chat.tokenizer.eos_token_id] for tail in chat.tokenise([known[one] for one in ids])]
        lengths[task] = [len(head) for head in some]
    size = config.batch * 2
    rows = mixture(lengths, config.sft, size, config.seed).ravel().tolist()
    arguments = {
        "output_dir": str(work),
        "max_steps": config.sft,
        "per_device_train_batch_size": size // PartialState().num_processes,
        "learning_rate": config.sft_learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": config.warmup,
        "gradient_checkpointing": False,
        "bf16": False,
        "seed": config.seed,
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
    }
    kind = type("Trainer", (LearnsAtOnce, SFTTrainer), {})
    trainer(kind, chat, model, [heads[row] for row in rows], [tails[row] for row in rows], arguments).train()


def trainer(
    kind: Any,
    chat: Chat,
    model: Any,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    arguments: Mapping[str, Any],
) -> Any:
    """TRL's SFTTrainer, or a `kind` of it, for tokenised prompts and answers: the loss is of the answers' tokens.

    An answer holds the token that ends it. `arguments` are TRL's.
    """
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig

    rows = {
        "input_ids": [[*head, *tail] for head, tail in zip(prompts, answers, strict=True)],
        "completion_mask": [[0] * len(head) + [1] * len(tail) for head, tail in zip(prompts, answers, strict=True)],
    }
    told = SFTConfig(**arguments, max_length=None, completion_only_loss=True)
    made = kind(model=model, args=told, train_dataset=Dataset.from_dict(rows), processing_class=chat.tokenizer)
    made.remove_callback(PrinterCallback)
    return made
