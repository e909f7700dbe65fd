"""TRL's GRPOTrainer, given our settings and our tokens."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench.errors import UserError, missing_extra
from grapebench.registry import unknown_name
from grapebench.rewriters.sampling import SeededSampling, batch_draws
from grapebench.training import head, likelihood, policy
from grapebench.training.rates import LearnsAtOnce

if TYPE_CHECKING:
    from grapebench.rewriters.models import Chat
    from grapebench.training.config import GrapeConfig

OURS = {
    "beta": "beta",
    "learning_rate": "learning_rate",
    "loss_type": "loss",
    "max_completion_length": "max_new_tokens",
    "max_steps": "steps",
    "num_generations": "group",
    "per_device_train_batch_size": "batch and micro_batch",
    "gradient_accumulation_steps": "micro_batch",
    "steps_per_generation": "micro_batch",
    "generation_batch_size": "batch",
    "seed": "seed",
    "temperature": "temperature",
    "warmup_steps": "warmup",
}
"""What TRL calls our settings: said under [trl], they would say the same thing twice."""
FIXED = {
    "num_iterations": 1,
    "multi_objective_aggregation": "sum_then_normalize",
    "shuffle_dataset": False,
    "remove_unused_columns": False,
    "disable_dropout": True,
    "dataloader_num_workers": 0,
    "logging_steps": 1,
    "logging_strategy": "steps",
    "save_strategy": "no",
    "eval_strategy": "no",
    "disable_tqdm": True,
    "ignore_data_skip": False,
}
"""What exact resuming, the log and the progress stand on."""
DEFAULTS = {
    "lr_scheduler_type": "cosine",
    "gradient_checkpointing": False,
    "use_bias_correction_kl": False,
    "report_to": "none",
}
"""Ours where TRL's own is another; [trl] may change them. Without the bias correction the KL term is GRPO's own
(Shao et al., DeepSeekMath, 2024, equation 4)."""

REPORTS = ("mlflow", "swanlab", "tensorboard", "trackio", "wandb")
"""Where [trl] report_to may send figures, each a package of this name."""


def check(config: GrapeConfig, processes: int) -> None:
    """Raises UserError for settings that TRL does not know, or that cannot be shared out to so many processes."""
    grpo = _trl().GRPOConfig
    known = {one.name for one in dataclasses.fields(grpo)}
    for name in config.trl:
        if name in OURS:
            raise UserError(f"[trl] {name}: it has a name here", fix=f"set {OURS[name]}")
        if name in FIXED:
            raise UserError(f"[trl] {name}: it is {FIXED[name]!r} here", fix="leave it out")
        if name not in known:
            raise unknown_name("setting of TRL", name, known)
    _check_packages(config.trl)
    if config.batch % processes:
        raise UserError(
            f"a step asks {config.batch} queries, which {processes} processes cannot share evenly",
            fix=f"set batch to a multiple of {processes}",
        )
    own = config.batch * config.group // processes
    if config.micro_batch is not None and own % config.micro_batch:
        raise UserError(
            f"micro_batch = {config.micro_batch} does not divide the {own} attempts of a process",
            fix=f"set it to a divisor of {own}",
        )


def scales_groups(config: GrapeConfig) -> bool:
    """Whether rewards are divided by their group's deviation, as in GRPO. Then the reward function does it, as TRL
    would count rollouts that break the rules of form in it."""
    return config.trl.get("scale_rewards", "group") in ("group", True)


def _check_packages(trl: Mapping[str, Any]) -> None:
    """Raises UserError where a setting of TRL's asks for a package that is not there: TRL itself says so late."""
    if trl.get("use_vllm") and find_spec("vllm") is None:
        raise missing_extra("vllm", "vllm")
    told = trl.get("report_to") or ()
    for name in [told] if isinstance(told, str) else told:
        if name in REPORTS and find_spec(name) is None:
            raise UserError(f"[trl] report_to: {name} is not installed", fix=f"pip install {name}")
    if trl.get("use_liger_kernel") and find_spec("liger_kernel") is None:
        raise UserError("[trl] use_liger_kernel: it is not installed", fix="pip install liger-kernel")


def arguments(config: GrapeConfig, folder: Path, room: int, processes: int, bf16: bool) -> Any:
    """TRL's configuration; `room` is how many tokens an attempt may have."""
    own = config.batch * config.group // processes
    passes = own // (config.micro_batch or own)
    values = {
        "output_dir": str(folder),
        "max_steps": config.steps,
        "per_device_train_batch_size": own // passes,
        "gradient_accumulation_steps": passes,
        "steps_per_generation": passes,
        "num_generations": config.group,
        "max_completion_length": room,
        "temperature": config.temperature,
        "learning_rate": config.learning_rate,
        "loss_type": config.loss,
        "warmup_steps": config.warmup,
        "beta": config.beta,
        "seed": config.seed,
        "bf16": bf16,
    }
    values |= FIXED | DEFAULTS | config.trl
    if scales_groups(config):
        values["scale_rewards"] = "none"  # the reward function has done it; TRL takes off the mean
    if config.tensorboard:
        if find_spec("tensorboard") is None:
            raise missing_extra("tensorboard", "tensorboard")
        values["report_to"] = "tensorboard"
    try:
        return _trl().GRPOConfig(**values)
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"TRL does not take the settings: {' '.join(str(error).split())}") from error


def build(
    chat: Chat,
    arguments: Any,
    adapter: Any,
    prompts: Mapping[str, str],
    order: np.ndarray,
    reward: Callable[..., list[float]],
    watcher: Any,
    drawn: int,
) -> Any:
    """The trainer; `adapter` is peft's configuration, None where the model is trained as it is.

    `prompts` are rendered, by query id; `order` `(steps, batch)` holds places among them; `drawn` is the seed of the
    attempts.
    """
    from datasets import Dataset
    from transformers import PrinterCallback

    rows = Dataset.from_dict({"prompt": list(prompts.values()), "query_id": list(prompts)}).select(order.ravel())
    trainer = _class()(
        model=chat.model,
        reward_funcs=reward,
        args=arguments,
        train_dataset=rows,
        processing_class=chat.tokenizer,
        peft_config=adapter,
        callbacks=[watcher],
    )
    trainer.chat, trainer.drawn = chat, drawn
    trainer.remove_callback(PrinterCallback)
    watcher.trainer = trainer
    return trainer


def _class() -> Any:
    class Trainer(LearnsAtOnce, _trl().GRPOTrainer):  # type: ignore[misc]
        """Prompts are rendered already, special tokens included: they are read as the `lm` engine reads them.

        Without vLLM attempts are made by the engine's own way of generating, where what prompts share is computed
        once. What is drawn depends on the seed, the step and the attempt's place in it alone.
        """

        chat: Chat
        drawn: int

        def _tokenize_prompts(self, prompts: Sequence[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            return self.chat.tokenise(prompts), None, {}

        def _generate_single_turn(self, prompt_ids: list[list[int]], *more: Any, **options: Any) -> Any:
            plain = not (self.use_vllm or self.use_transformers_continuous_batching or self.args.generation_kwargs)
            plain = plain and self.top_k == 0 and self.min_p is None and self.repetition_penalty == 1
            if not plain or sharded(self.accelerator):
                return super()._generate_single_turn(prompt_ids, *more, **options)
            first = self.accelerator.process_index * len(prompt_ids)
            keys = [f"{self.state.global_step}/{first + row}" for row in range(len(prompt_ids))]
            draws = batch_draws(self.drawn, keys, self.max_completion_length)

            def processors(rows: Sequence[int], width: int) -> list[Any]:
                return [SeededSampling(draws[rows], width, self.temperature, self.top_p)]

            model = self.accelerator.unwrap_model(self.model_wrapped)
            return policy.generate(model, self.chat, prompt_ids, self.max_completion_length, processors), None

        def _get_per_token_logps_and_entropies(
            self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *more: Any, **options: Any
        ) -> Any:
            # TRL's own goes over the prompts' tokens too where there is no Triton, which takes most of a step.
            if input_ids.device.type != "cpu" or more or self.aux_loss_enabled or self.use_vllm:
                return super()._get_per_token_logps_and_entropies(
                    model, input_ids, attention_mask, logits_to_keep, *more, **options
                )
            import torch

            bare = policy.bare(self.accelerator.unwrap_model(model))
            entropy: head.Entropy = "none"
            if options.get("compute_entropy"):
                entropy = "learned" if self._entropy_bonus_enabled else "fixed"
            found = []
            size = options.get("batch_size") or len(input_ids)
            for start in range(0, len(input_ids), size):
                tokens, mask = input_ids[start : start + size], attention_mask[start : start + size]
                share = not self.args.gradient_checkpointing
                with self.accelerator.autocast():
                    found.append(
                        likelihood.of_answers(
                            model, bare, tokens, mask, logits_to_keep, share, self.temperature, entropy
                        )
                    )
            chosen = torch.cat([one for one, _ in found])
            entropies = [one for _, one in found if one is not None]
            return chosen, torch.cat(entropies) if entropies else None, None

    return Trainer


def sharded(accelerator: Any) -> bool:
    """Whether no process holds the whole model and optimiser."""
    return str(accelerator.distributed_type).rpartition(".")[2] in {"DEEPSPEED", "FSDP", "MEGATRON_LM"}


def _trl() -> Any:
    try:
        import datasets  # noqa: F401
        import trl
    except ImportError as error:
        raise missing_extra(error.name or "trl", "train") from error
    return trl


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the libraries say of themselves: it would break into the progress."""
    import logging

    import datasets

    from grapebench.rewriters import models

    loggers = [logging.getLogger(name) for name in ("trl", "accelerate", "peft")]
    levels = [logger.level for logger in loggers]
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with models.quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if not bars:
            datasets.enable_progress_bars()
