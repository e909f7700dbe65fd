"""A chat model run by vLLM in this process: `vllm.LLM.chat`, the offline engine, on one GPU or several.

What is used of vLLM is listed in tests/rewriters/engines/test_vllm.py and held there against vLLM's own sources.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import Field

from grapebench import activity
from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.rewriters import models, turns
from grapebench.rewriters.engines import Answer, Message, Request, served, vllm_process
from grapebench.rewriters.engines.fitting import fit
from grapebench.rewriters.engines.images import with_images
from grapebench.rewriters.engines.model_settings import ModelSettings
from grapebench.rewriters.folders import check_model
from grapebench.rewriters.sampling import seed_of
from grapebench.rewriters.setup import Setup

TOGETHER = 1024
"""How many requests vLLM is given at once. It batches them itself; answers come when all of them are done."""
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM takes as `max_lora_rank`, in every version since 0.9."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    request: Request
    conversation: list[dict[str, Any]]
    trace: dict[str, str]
    opened: str
    """The mark with which the chat template opens thinking; the answer goes on from there."""


class Vllm:
    """Answers by vLLM, greedily or sampled, with or without a LoRA adapter and images."""

    class Settings(ModelSettings):
        tensor_parallel: int = Field(1, ge=1)
        """How many GPUs share the model."""
        gpu_memory: float = Field(0.9, gt=0, le=1)
        """The share of each GPU's memory that vLLM may take."""
        max_model_len: int | None = Field(None, ge=2)
        """How many tokens prompt and answer may come to; None is the model's own limit."""
        image: bool = False
        """Whether the model sees the reference image of composed queries."""

    def __init__(self, settings: Settings, setup: Setup) -> None:
        self.settings, self.setup = settings, setup
        base = setup.base or Path()
        self.model = models.locate(settings.model, base, settings.revision)
        self.adapter = models.locate_folder(settings.adapter, base) if settings.adapter else None
        if self.adapter:
            models.check_base(self.adapter, self.model)

    @property
    def sampled(self) -> bool:
        return self.settings.sample

    @property
    def sees(self) -> bool:
        return self.settings.image

    structured = True

    @property
    def identity(self) -> Any:
        """Weights, adapter and generation; not how many GPUs there are, nor vLLM's version.

        Those move a logit in its last bits only, and answers of a large model are too dear to ask for again.
        """
        return {
            "engine": "vllm",
            "model": self.model.identity,
            "adapter": self.adapter.identity if self.adapter else None,
            "generation": self._generation,
        }

    @property
    def description(self) -> dict[str, Any]:
        return {
            "model": {"name": self.settings.model, **self.model.identity},
            "adapter": {"name": self.settings.adapter, **self.adapter.identity} if self.adapter else None,
            "generation": self._generation,
            "tensor_parallel": self.settings.tensor_parallel,
            "versions": _versions("torch", "transformers", "vllm"),
        }

    @property
    def _generation(self) -> dict[str, Any]:
        names = {"dtype", "max_new_tokens", "sample", "max_model_len", "image"}
        names |= {"temperature", "top_p"} if self.settings.sample else set()
        stop = {"stop": list(self.settings.stop)} if self.settings.stop else {}
        return self.settings.model_dump(include=names) | stop

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON body that asks a server of vLLM for the same answer, as a batch file takes it."""
        return served.body(self.settings, self.setup.seed, request)

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """One answer for each request, `TOGETHER` of them at a time.

        A request that vLLM refuses (too long with its image, an image it cannot decode) fails alone. Raises UserError
        where vLLM is not installed, cannot start or breaks down, or the instruction alone does not fit the context.
        """
        check_model(self.model.folder)
        with activity.during("starting vLLM"):
            llm = vllm_process.engine(self._options())
        config = llm.llm_engine.model_config
        if self.sees and not config.is_multimodal_model:
            raise UserError(
                f"the model {self.settings.model!r} sees no images", fix="take image = true out of the card"
            )
        tokenizer, limit = llm.get_tokenizer(), config.max_model_len - self.settings.max_new_tokens
        special = models.marks_thinking(tokenizer)
        for start in range(0, len(requests), TOGETHER):
            prompts = []
            for request in requests[start : start + TOGETHER]:
                try:
                    prompts.append(_prompt(tokenizer, request, limit))
                except OSError as error:  # no image that Pillow knows
                    yield _refused(request, error)
            yield from self._ask(llm, prompts, special) if prompts else ()

    def _options(self) -> dict[str, Any]:
        """What `vllm.LLM` is given."""
        options: dict[str, Any] = {
            "model": str(self.model.folder),
            "load_format": "safetensors",  # the older format is a pickle, which runs code
            "dtype": self.settings.dtype,
            "tensor_parallel_size": self.settings.tensor_parallel,
            "gpu_memory_utilization": self.settings.gpu_memory,
            "max_model_len": self.settings.max_model_len,
            "seed": 0,
        }
        if self.adapter:
            options |= {"enable_lora": True, "max_lora_rank": _rank(self.adapter.folder)}
        if self.settings.image:
            options["limit_mm_per_prompt"] = {"image": 1}
        return options

    def _ask(self, llm: Any, prompts: list[_Prompt], special: bool) -> list[Answer]:
        try:
            outputs = llm.chat(
                [prompt.conversation for prompt in prompts],
                [self._sampling(prompt.request, special) for prompt in prompts],
                use_tqdm=False,
                lora_request=self._lora(),
                add_generation_prompt=True,
                chat_template_kwargs={"enable_thinking": False},
            )
        except (ValueError, OSError) as error:
            # One prompt is refused, and with it all that were handed in together.
            if len(prompts) == 1:
                return [_refused(prompts[0].request, error)]
            half = len(prompts) // 2
            return self._ask(llm, prompts[:half], special) + self._ask(llm, prompts[half:], special)
        except Exception as error:
            raise UserError(f"vLLM broke down: {type(error).__name__}: {models.reason(error)}") from error
        # vLLM 0.9 keeps what was handed in before a refused prompt, and answers it first the next time.
        return [_answer(prompt, made) for prompt, made in zip(prompts, outputs[-len(prompts) :], strict=True)]

    def _lora(self) -> Any:
        if self.adapter is None:
            return None
        from vllm.lora.request import LoRARequest

        # vLLM tells adapters apart by this number.
        number = int(sha256_json(self.adapter.identity)[:7], 16) + 1
        return LoRARequest("adapter", number, str(self.adapter.folder))

    def _sampling(self, request: Request, special: bool) -> Any:
        """How a request is answered; with `special` tokens in the text where they mark thinking."""
        from vllm import SamplingParams

        told: dict[str, Any] = {"max_tokens": self.settings.max_new_tokens, **_held(request.schema)}
        if special:
            told["skip_special_tokens"] = False
        if self.settings.stop:
            told["stop"] = list(self.settings.stop)
        if not self.settings.sample:
            return SamplingParams(temperature=0.0, **told)
        drawn = {"temperature": self.settings.temperature, "top_p": self.settings.top_p}
        return SamplingParams(**drawn, seed=seed_of(self.setup.seed, request.key), **told)


def _held(schema: dict[str, Any] | None) -> dict[str, Any]:
    """What holds an answer to a JSON Schema; vLLM 0.12 has dropped the older name."""
    if schema is None:
        return {}
    try:
        from vllm.sampling_params import StructuredOutputsParams
    except ImportError:
        from vllm.sampling_params import GuidedDecodingParams

        return {"guided_decoding": GuidedDecodingParams(json=schema)}
    return {"structured_outputs": StructuredOutputsParams(json=schema)}


def _answer(prompt: _Prompt, made: Any) -> Answer:
    """`made` is a `vllm.RequestOutput` with one completion."""
    completion = made.outputs[0]
    trace = dict(prompt.trace)
    failure = None
    if completion.finish_reason == "length":
        trace["cut output"] = "no end within max_new_tokens"
    elif completion.finish_reason != "stop":
        failure = f"vLLM ended it: {completion.finish_reason}"
    return Answer(
        prompt.request.key,
        "" if failure else prompt.opened + completion.text,
        prompt_tokens=len(made.prompt_token_ids or ()),
        completion_tokens=len(completion.token_ids),
        failure=failure,
        trace=trace,
    )


def _refused(request: Request, error: Exception) -> Answer:
    return Answer(request.key, "", failure=f"refused: {models.reason(error)}")


def _prompt(tokenizer: Any, request: Request, limit: int) -> _Prompt:
    """The request as vLLM takes it, its text cut where the prompt comes to more than `limit` tokens.

    How many tokens an image takes, vLLM alone knows: they are not counted here.
    """
    messages, trace = request.messages, dict[str, str]()
    if len(_rendered(tokenizer, messages)[1]) > limit:
        messages, _, trace = fit(request, lambda some: _rendered(tokenizer, some)[1], limit)
    told, _, opened = _rendered(tokenizer, messages)
    return _Prompt(request, with_images(told, request.images), trace, opened)


def _rendered(tokenizer: Any, messages: Sequence[Message]) -> tuple[list[Message], list[int], str]:
    """The messages as the model's template takes them, their tokens, and the mark of the thinking that it opens.

    Some templates know no system role; then it opens the user's turn.
    """
    import jinja2

    told = list(messages)
    options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
    try:
        made = tokenizer.apply_chat_template(told, **options)
    except jinja2.TemplateError:
        if told[0]["role"] != "system" or len(told) == 1:
            raise
        opened = told[0]["content"] + "\n\n" + told[1]["content"]
        told = [{"role": "user", "content": opened}, *told[2:]]
        made = tokenizer.apply_chat_template(told, **options)
    # The template has put the special tokens in already; Mistral's own tokeniser gives tokens at once.
    if not isinstance(made, str):
        return told, list(made), ""
    return told, tokenizer(made, add_special_tokens=False)["input_ids"], turns.opened(made)


def _rank(adapter: Path) -> int:
    """The smallest `max_lora_rank` that vLLM takes and the adapter fits."""
    path = adapter / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        rank = max(config["r"], *(config.get("rank_pattern") or {}).values(), 1)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError("cannot be read as the settings of a LoRA adapter", file=path) from error
    found = next((allowed for allowed in _RANKS if allowed >= rank), None)
    if found is None:
        raise UserError(f"rank {rank}, and vLLM takes adapters up to {_RANKS[-1]}", file=path)
    return found


def _versions(*packages: str) -> dict[str, str]:
    """Of those that are installed: a batch file can be written without vLLM."""
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
