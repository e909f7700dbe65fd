"""The model that is trained: loaded apart from those that answer, asked greedily in between, written as safetensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench.errors import UserError, missing_extra
from grapebench.rewriters import LoadedRewriter, models
from grapebench.rewriters.engines import Answer, Request, decoding
from grapebench.rewriters.engines.decoding import Processors
from grapebench.rewriters.engines.fitting import fit
from grapebench.rewriters.prompted import Local

if TYPE_CHECKING:
    import torch

    from grapebench.training.config import Lora

ADAPTER, MODEL = "adapter", "model"
"""Folders of what was trained: an adapter alone, or all weights."""


def local(rewriter: LoadedRewriter) -> Local:
    """The rewriter's mechanism. Raises UserError where it is not one that can be trained."""
    made = rewriter.rewriter
    if not isinstance(made, Local):
        what = rewriter.card.mechanism if rewriter.card else type(made).__name__
        raise UserError(f"{rewriter.name} cannot be trained: its mechanism is {what!r}", fix="start from one of 'lm'")
    if made.settings.answer == "lines" or made.settings.samples != 1:
        raise UserError(f"{rewriter.name} cannot be trained: it makes one rewrite of several texts")
    if made.settings.stop:  # type: ignore[attr-defined]
        raise UserError(
            f"{rewriter.name} ends its answers at texts (stop), and training knows the model's own end alone",
            fix="take stop out of the card",
        )
    if getattr(made.engine, "adapter", None) is not None:
        raise UserError(
            f"{rewriter.name} has an adapter already", fix="merge it into its model and name that, or start from 'llm'"
        )
    return made


def asks_once(rewriter: LoadedRewriter) -> None:
    """Raises UserError for a rewriter that detects concepts too: a reward of its rewrites says nothing of these."""
    made = local(rewriter)
    if made.detects or made.settings.answer == "concepts":
        raise UserError(
            f"{rewriter.name} detects concepts before it rewrites", fix="train it by: grapebench train raqo"
        )


def load(folder: Path, dtype: str) -> models.Chat:
    """A chat model of its own, on the CPU: the one that is kept for engines must stay as it is."""
    return models.load.__wrapped__(folder, None, dtype, "cpu", False)


def prompts(chat: models.Chat, requests: Sequence[Request], room: int) -> list[str]:
    """What the model is prompted with, as the engine renders it; `room` tokens of the context are left to the answer.

    A query that does not fit loses its end, as there.
    """
    found = [chat.render(request.messages) for request in requests]
    if chat.context is None:
        return found
    limit = chat.context - room
    for place, tokens in enumerate(chat.tokenise(found)):
        if len(tokens) > limit:
            messages, _, _ = fit(requests[place], lambda some: chat.tokenise([chat.render(some)])[0], limit)
            found[place] = chat.render(messages)
    return found


def generate(
    model: Any, chat: models.Chat, prompts: Sequence[Sequence[int]], room: int, processors: Processors | None = None
) -> list[list[int]]:
    """What a model in training answers to tokenised prompts, the token that ends an answer included; greedily without
    `processors`. Attempts at one prompt share its computation."""
    training, inner = model.training, bare(model)
    model.eval()
    try:
        asked = dataclasses.replace(chat, model=inner, device=inner.device)
        made = decoding.generate(asked, prompts, room, processors or (lambda rows, width: []))
    finally:
        model.train(training)
    return [answer[: _end(answer, chat)] for answer in made]


def bare(model: Any) -> Any:
    """The causal model with its adapter's layers in it, and not peft's own around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _end(answer: Sequence[int], chat: models.Chat) -> int:
    return next((place + 1 for place, token in enumerate(answer) if token in chat.ends), len(answer))


def answers(
    model: Any, chat: models.Chat, keys: Sequence[str], prompts: Sequence[str], room: int, batch_tokens: int
) -> Iterator[Answer]:
    """The greedy answers of a model in training, longest prompts first."""
    encoded = sorted(zip(keys, chat.tokenise(prompts), strict=True), key=lambda one: (-len(one[1]), one[0]))
    start = 0
    while start < len(encoded):
        some = encoded[start : start + max(1, batch_tokens // (len(encoded[start][1]) + room))]
        made = generate(model, chat, [tokens for _, tokens in some], room)
        for (key, tokens), answer in zip(some, made, strict=True):
            whole = bool(answer) and answer[-1] in chat.ends
            trace = {} if whole else {"cut output": "no end within max_new_tokens"}
            yield Answer(key, chat.decode(answer[:-1] if whole else answer), len(tokens), len(answer), trace=trace)
        start += len(some)


def lora_config(lora: Lora, base: str) -> Any:
    """peft's configuration; `base` is the name of the model that the adapter is written down to belong to."""
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise missing_extra("peft", "train") from error
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules=targets,
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
    )


def check_adapter(rewriter: LoadedRewriter, lora: Lora) -> None:
    """Raises UserError where the model has no layers of the names that the adapter is to be on; no weights are read."""
    import warnings

    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    engine: Any = local(rewriter).engine
    folder = engine.model.folder
    with models.quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what libraries say of themselves is said again where the model is loaded
        try:
            told = AutoConfig.from_pretrained(folder)
            with torch.device("meta"):
                model = AutoModelForCausalLM.from_config(told)
        except Exception:  # a model that is made in a way of its own is told of where it is loaded
            return
        try:
            get_peft_model(model, lora_config(lora, str(folder)))
        except ValueError as error:
            what = f"the adapter cannot be made: {' '.join(str(error).split())}"
            raise UserError(what, fix="set lora.targets") from error


def save(model: Any, state: dict[str, torch.Tensor], folder: Path, base: str, tokenizer: Any) -> None:
    """Write what was trained into a folder that is there: adapter and its configuration, or model and tokeniser.

    `state` are all weights, gathered from all processes. No machine's path is written.
    """
    from safetensors.torch import save_file

    if hasattr(model, "peft_config"):
        from peft import get_peft_model_state_dict

        config = model.peft_config["default"]
        config.base_model_name_or_path, config.inference_mode = base, True
        weights = get_peft_model_state_dict(
            model, state_dict=state, adapter_name="default", save_embedding_layers=False
        )
        weights = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
        config.save_pretrained(folder)
        config.inference_mode = False
    else:
        model.save_pretrained(folder, state_dict=state)
        tokenizer.save_pretrained(folder)
