from __future__ import annotations

from grapebench import catalog, registry
from grapebench.leaderboard import references, store


def test_every_mechanism_says_whether_it_uses_a_language_model() -> None:
    with_one = {
        name for name in registry.BUILTIN["rewriters"] if registry.resolve("rewriters", name).language_model is True
    }
    assert with_one == {"api", "lm", "vllm"}
    for kind in ("rewriters", "captioners"):
        for name in registry.BUILTIN[kind]:
            assert isinstance(registry.resolve(kind, name).language_model, bool), name


def test_published_results_are_told_apart_as_their_mechanisms_say() -> None:
    """By what they spent: whoever asks a language model reads tokens."""
    found, _ = store.find([store.published_dir()])
    seen = set()
    for one in found:
        asked = one.result.cost.prompt_tokens > 0
        assert one.result.rewriter.language_model is asked, one.folder
        seen.add(asked)
    assert seen == {True, False}


def test_the_rewriters_that_others_are_measured_by_are_those_whose_cards_say_so() -> None:
    assert references.named() == {"llm"}
    assert catalog.rewriter_card("llm").card.reference
