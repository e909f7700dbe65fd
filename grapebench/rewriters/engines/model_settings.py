"""What every engine that runs a model of the user's own takes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class ModelSettings(BaseModel):
    """A model, an adapter, and how they answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    """A folder in Hugging Face format (relative to the card) or a model id of the hub."""
    revision: str = "main"
    """Of a hub model: a branch, tag or commit."""
    adapter: str | None = None
    """A folder with a LoRA adapter made by peft (relative to the card)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """'auto' is the model's own; vLLM takes half precision where that is float32."""
    max_new_tokens: int = Field(64, ge=1)
    sample: bool = False
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that end an answer where the model writes one of them; they are no part of it."""
