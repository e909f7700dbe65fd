"""What a RAQO training is made of: found as GRAPE's material is, by the settings that both have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grapebench.training import material
from grapebench.training.material import Lesson, Material

if TYPE_CHECKING:
    from grapebench.datasets import Place
    from grapebench.training.raqo.config import RaqoConfig


def find(config: RaqoConfig, place: Place | None) -> Material:
    """The task's queries and images, the rewriter and the retriever; nothing heavy is loaded. Raises UserError."""
    found = material.find(config.common, place)
    named = found.config.model_copy(update={"name": config.name or f"raqo-{found.name}"})
    return replace(found, config=named)


def lesson(found: Material) -> Lesson:
    """The only task of a RAQO training."""
    return found.lessons[0]
