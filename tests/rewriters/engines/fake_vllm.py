"""What is used of vLLM, with its signatures and without its models. test_vllm.py holds it against the real one."""

from __future__ import annotations

import os
import sys
import types
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from typing import Any

import jinja2


@dataclass
class StructuredOutputsParams:
    json: dict[str, Any] | None = None


class SamplingParams:
    def __init__(
        self,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int | None = None,
        max_tokens: int | None = 16,
        stop: list[str] | None = None,
        skip_special_tokens: bool = True,
        structured_outputs: StructuredOutputsParams | None = None,
    ) -> None:
        self.temperature, self.top_p, self.seed, self.max_tokens = temperature, top_p, seed, max_tokens
        self.stop, self.skip_special_tokens, self.structured_outputs = stop, skip_special_tokens, structured_outputs


@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str = ""


@dataclass
class CompletionOutput:
    text: str
    token_ids: list[int]
    finish_reason: str | None = None


@dataclass
class RequestOutput:
    request_id: str
    prompt_token_ids: list[int] | None
    outputs: list[CompletionOutput]


class Tokenizer:
    """A token for each character; `systems` says whether its template knows that role, `opens` how it ends."""

    systems = True
    opens = ""
    all_special_tokens: tuple[str, ...] = ()

    def apply_chat_template(
        self, messages: list[dict[str, Any]], *, tokenize: bool, add_generation_prompt: bool, enable_thinking: bool
    ) -> str:
        assert not tokenize and add_generation_prompt and not enable_thinking
        if not self.systems and any(turn["role"] == "system" for turn in messages):
            raise jinja2.TemplateError("System role not supported")
        return "".join(f"{turn['role']}:{text_of(turn)}\n" for turn in messages) + self.opens

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [ord(character) for character in text]}


@dataclass
class ModelConfig:
    max_model_len: int
    is_multimodal_model: bool


@dataclass
class LLMEngine:
    model_config: ModelConfig


@dataclass
class Record:
    """What the fake was asked for, and what it should be like."""

    options: list[dict[str, Any]] = field(default_factory=list)
    chats: list[dict[str, Any]] = field(default_factory=list)
    context: int = 400
    multimodal: bool = True
    running: int = 0
    """Engines that hold the GPU."""
    most_running: int = 0


def text_of(turn: dict[str, Any]) -> str:
    content = turn["content"]
    return content if isinstance(content, str) else next(part["text"] for part in content if part["type"] == "text")


def install(record: Record) -> dict[str, types.ModuleType]:
    """The modules to be found under their names in `sys.modules`."""

    class LLM:
        def __init__(
            self,
            model: str,
            *,
            tensor_parallel_size: int = 1,
            dtype: str = "auto",
            seed: int = 0,
            gpu_memory_utilization: float = 0.9,
            load_format: str = "auto",
            max_model_len: int | None = None,
            enable_lora: bool = False,
            max_lora_rank: int = 16,
            limit_mm_per_prompt: dict[str, int] | None = None,
        ) -> None:
            os.write(1, b"[Gloo] Rank 0 is connected\n")
            given = {name: value for name, value in locals().items() if name not in ("self", "record", "__class__")}
            record.options.append(given)
            if "broken" in model:
                raise RuntimeError("no kernel image is available\nfor this device")
            record.running += 1
            record.most_running = max(record.most_running, record.running)
            self.llm_engine = LLMEngine(ModelConfig(max_model_len or record.context, record.multimodal))
            self.queue: list[RequestOutput] = []
            self.asked = 0

        def __del__(self) -> None:
            record.running -= hasattr(self, "queue")

        def get_tokenizer(self) -> Tokenizer:
            return Tokenizer()

        def chat(
            self,
            messages: list[list[dict[str, Any]]],
            sampling_params: list[SamplingParams] | None = None,
            use_tqdm: bool = True,
            lora_request: LoRARequest | None = None,
            chat_template: str | None = None,
            chat_template_content_format: str = "auto",
            add_generation_prompt: bool = True,
            continue_final_message: bool = False,
            tools: list[dict[str, Any]] | None = None,
            chat_template_kwargs: dict[str, Any] | None = None,
        ) -> list[RequestOutput]:
            assert sampling_params is not None and len(messages) == len(sampling_params)
            record.chats.append({name: value for name, value in locals().items() if name not in ("self", "record")})
            for turns, how in zip(messages, sampling_params, strict=True):
                said = text_of(turns[-1])
                if "REFUSED" in said:
                    raise ValueError("The decoder prompt is too long\nand so on")
                if "DEAD" in said:
                    raise RuntimeError("EngineCore encountered an issue")
                self.queue.append(self.answer(turns, said, how))
            # As in vLLM 0.9: what was handed in before an error is still in the queue.
            made, self.queue = self.queue, []
            return made

        def answer(self, turns: list[dict[str, Any]], said: str, how: SamplingParams) -> RequestOutput:
            self.asked += 1
            finish = next((name for name in ("length", "abort") if name.upper() in said), "stop")
            text = f"answer to {said}" + (f" drawn by {how.seed}" if how.temperature else "")
            tokens = Tokenizer()(Tokenizer().apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
            ), add_special_tokens=False)["input_ids"]  # fmt: skip
            return RequestOutput(str(self.asked), tokens, [CompletionOutput(text, [1, 2, 3], finish)])

    vllm, lora, request = (types.ModuleType(name) for name in ("vllm", "vllm.lora", "vllm.lora.request"))
    sampling = types.ModuleType("vllm.sampling_params")
    sampling.__dict__.update(SamplingParams=SamplingParams, StructuredOutputsParams=StructuredOutputsParams)
    vllm.__spec__ = ModuleSpec("vllm", None)
    vllm.__dict__.update(LLM=LLM, SamplingParams=SamplingParams, lora=lora)
    lora.__dict__.update(request=request)
    request.__dict__.update(LoRARequest=LoRARequest)
    made = {"vllm": vllm, "vllm.lora": lora, "vllm.lora.request": request, "vllm.sampling_params": sampling}
    sys.modules.update(made)
    return made
