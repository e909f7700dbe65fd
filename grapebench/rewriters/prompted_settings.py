"""What a card may set of a chat model: what every one takes, beside its engine's own settings."""

from __future__ import annotations

import functools
import importlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from grapebench.records import Fusion

Form = Literal["text", "lines", "concepts", "json", "json-lines"]
"""How an answer is read."""
SEVERAL = ("lines", "json-lines")
"""The forms of an answer that holds several texts."""
STRICT = ("json", "json-lines")
"""The forms that the engine holds the model to, so that nothing is guessed."""


class PromptedSettings(BaseModel):
    """What every chat model takes beside its engine's own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(1, ge=1)
    """How many answers are asked for each query."""
    fusion: Fusion = "mean"
    """How several texts come to one ranking."""
    with_query: float = Field(0, ge=0)
    """Weight of the query's own text beside the answers, each of which has weight 1."""
    answer: Form = "text"
    """'lines': every line of an answer is a text of its own. 'concepts': an answer names the query's challenging
    concepts, then the rewrite. 'json', 'json-lines': the engine holds the model to `{"rewrite": text}`, or to
    `{"rewrites": [text, …]}`, and anything else is 'not json'; for servers and vLLM."""
    few_shot: int = Field(0, ge=0)
    """How many examples of the train split go before the query."""
    vote: bool = False
    """Search only the answer given most often."""


class BothSettings:
    """Both settings in one flat model, made when it is first asked for: the engine's module is imported only then."""

    def __get__(self, instance: object, owner: Any) -> type[BaseModel]:
        return _settings_of(owner.engine_class)


@functools.cache
def _settings_of(engine: str) -> type[BaseModel]:
    return create_model("Settings", __base__=(PromptedSettings, load_engine(engine).Settings))


def load_engine(engine: str) -> Any:
    """The class that 'module:class' names."""
    module, _, name = engine.partition(":")
    return getattr(importlib.import_module(module), name)
