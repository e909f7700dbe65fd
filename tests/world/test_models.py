"""What the shipped models promise, measured on scenes that neither has seen."""

from __future__ import annotations

import json

import pytest

from grapebench import catalog
from grapebench.world import check
from grapebench.world.check import measure_language_model, measure_retriever

MODELS = catalog.folder() / "baselines" / "models"


def test_the_weights_are_small() -> None:
    # Of the two models; the adapters beside them are tests/baselines'.
    weights = list(MODELS.glob("*/*.safetensors"))
    assert {path.parent.name for path in weights} == {"mini-clip", "mini-lm"}
    assert sum(path.stat().st_size for path in weights) <= 12e6


def test_the_language_model_has_at_most_three_million_parameters() -> None:
    from safetensors import safe_open

    with safe_open(MODELS / "mini-lm" / "model.safetensors", framework="np") as file:
        assert sum(file.get_tensor(name).size for name in file.keys()) <= 3e6  # noqa: SIM118 (not a dict)


def test_the_language_model_has_a_chat_template() -> None:
    from transformers import AutoTokenizer

    tokeniser = AutoTokenizer.from_pretrained(MODELS / "mini-lm")
    text = tokeniser.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_the_retriever_leaves_room_on_its_own_captions() -> None:
    figures = measure_retriever()
    assert 0.60 <= figures["annotated"]["R@1"] <= 0.95
    assert figures["all"]["R@10"] > 0.99
    assert figures["people"]["R@1"] < figures["annotated"]["R@1"] < figures["all"]["R@1"]


@pytest.mark.slow
def test_the_language_model_keeps_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a quarter of the examples that `grapebench world check` asks for, which the test of its page runs."""
    monkeypatch.setattr(check, "EXAMPLES", check.EXAMPLES // 4)
    figures = measure_language_model()
    for family in ("translate", "condense", "compose"):
        assert figures[family]["kept"] >= 0.95, json.dumps(figures)
