"""The request that asks a server of vLLM for what a local model would answer."""

from __future__ import annotations

from typing import Any, Protocol

from grapebench.rewriters.engines import Request
from grapebench.rewriters.engines.images import with_images
from grapebench.rewriters.sampling import seed_of


class LocalSettings(Protocol):
    """What the settings of local models have in common."""

    @property
    def model(self) -> str: ...
    @property
    def adapter(self) -> str | None: ...
    @property
    def max_new_tokens(self) -> int: ...
    @property
    def sample(self) -> bool: ...
    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def stop(self) -> tuple[str, ...]: ...


def body(settings: LocalSettings, seed: int, request: Request) -> dict[str, Any]:
    """The JSON body of a chat completion, with fields of vLLM's own; `seed` is the run's.

    The model is named as the card names it, or by its adapter where it has one. The sampling fields that a server
    would fill in from the model's `generation_config.json` are all set: what the card does not say does not happen.
    """
    drawn = {"temperature": settings.temperature, "top_p": settings.top_p, "seed": seed_of(seed, request.key)}
    held = {} if request.schema is None else {"response_format": response_format(request.schema)}
    return {
        "model": settings.adapter or settings.model,
        "messages": with_images(request.messages, request.images),
        "max_tokens": settings.max_new_tokens,
        **(drawn if settings.sample else {"temperature": 0, "top_p": 1}),
        "top_k": 0,
        "min_p": 0,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "repetition_penalty": 1,
        **({"stop": list(settings.stop)} if settings.stop else {}),
        "chat_template_kwargs": {"enable_thinking": False},
        **held,
    }


def response_format(schema: dict[str, Any]) -> dict[str, Any]:
    """The field of a chat completion that holds the model to a JSON Schema, as OpenAI and vLLM take it."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
