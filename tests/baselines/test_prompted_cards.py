"""The cards that ask a language model: what each of them asks, in both suites, and what is made of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grapebench import catalog, registry
from grapebench.cards import RewriterCard
from grapebench.records import Query, Rewrite
from grapebench.rewriters import LoadedRewriter, models, open_rewriter
from grapebench.rewriters.setup import Setup

CARDS = {name: catalog.rewriter_card(name).card for name in catalog.rewriter_names()}
# What is trained is asked with the prompts of what it was trained from: tests/baselines/test_grape.py.
ASKING = {name: card for name, card in CARDS.items() if card.mechanism == "lm" and not card.tasks}
TASKS = {"translate": "flickr30k-cn", "condense": "wikipedia", "compose": "cirr"}
QUERIES = {
    "translate": Query("q", "绿地上有一只红色的风筝", language="zh"),
    "condense": Query("q", "The kite festival of Weifang is held each April.\nThe picture shows a red kite."),
    "compose": Query("q", "make it two kites", reference="r", reference_caption="a red kite on green"),
}
EXAMPLE = {"image": "t", "reference": "s", "query": "a blue fish", "rewrite": "one blue fish", "caption": "a red fish"}


def cases() -> Iterator[tuple[str, str, str]]:
    for name, card in sorted(ASKING.items()):
        for suite in card.suites:
            for family in card.families:
                yield name, suite, family


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset's folder with four examples, on a machine where every model is at hand."""
    monkeypatch.setattr(models, "locate", lambda *_: models.Located(tmp_path, commit="0" * 40))
    rows = [EXAMPLE | {"image": f"t{number}", "rewrite": f"{number} blue fish"} for number in range(4)]
    (tmp_path / "few_shot.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tmp_path


def opened(name: str, suite: Any, family: Any, root: Path) -> LoadedRewriter:
    return open_rewriter(name, Setup(suite, family, 0, root, task=TASKS[family]))


def messages(name: str, suite: str, family: str, root: Path) -> list[dict[str, str]]:
    made: Any = opened(name, suite, family, root).rewriter
    query = QUERIES[family]
    if made.detects:
        return [*made.detect_messages(query), *made.messages(query, concepts="a kite; Weifang")]
    return list(made.messages(query))


def test_these_are_the_baselines() -> None:
    wanted = {
        "best-of-8", "cirevl", "clip-gpt", "desclip", "few-shot", "hyde", "ldre", "llm", "llms-rewrite",
        "multi-query-max", "multi-query-mean", "multi-query-rrf", "recot", "self-consistency", "translate-only",
    }  # fmt: skip
    assert wanted <= set(ASKING)


@pytest.mark.parametrize("name", sorted(ASKING))
def test_what_a_card_asks_is_in_its_golden_file(name: str, root: Path) -> None:
    """In the full suite. To accept a change: write `page` into the golden file and read the difference."""
    page = ""
    for family in ASKING[name].families:
        turns = "".join(f"[{turn['role']}]\n{turn['content']}\n" for turn in messages(name, "full", family, root))
        page += f"=== {family}\n{turns}\n"
    assert page == (Path(__file__).parent / "prompts" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "suite", "family"), [case for case in cases() if case[1] == "mini" and case[0] != "recot"]
)
def test_the_miniature_is_asked_only_what_it_was_taught(name: str, suite: str, family: str, root: Path) -> None:
    asked = messages(name, suite, family, root)
    taught = messages("llm", suite, family, root)
    assert [asked[0], asked[-1]] == taught
    assert len(asked) == (2 + 2 * 4 if name == "few-shot" else 2)


@pytest.mark.parametrize("family", list(TASKS))
def test_the_miniature_learns_from_prompts_that_are_told_apart_by_how_they_begin(family: str, root: Path) -> None:
    """A rewrite is asked for as it was taught; a detection, which it was not, must not look like that."""
    system, detect, again, rewrite = messages("recot", "mini", family, root)
    taught = messages("llm", "mini", family, root)
    start = taught[1]["content"].partition("Caption after")[0].rstrip()
    assert system == again == taught[0]
    assert rewrite["content"].startswith(f"{start}\nHard words: a kite; Weifang")
    assert detect["content"].startswith("Hard words of this ") and QUERIES[family].text in detect["content"]


def test_cards_with_the_same_prompt_and_sampling_share_their_answers(root: Path) -> None:
    names = (
        "best-of-8",
        "hyde",
        "ldre",
        "llms-rewrite",
        "multi-query-max",
        "multi-query-mean",
        "multi-query-rrf",
        "self-consistency",
    )
    loaded = [opened(name, "mini", "compose", root) for name in names]
    assert len({one.asked_as for one in loaded}) == 1
    assert opened("llm", "mini", "compose", root).asked_as != loaded[0].asked_as
    # hyde and ldre are told apart by the query's own text, the three multi-queries by the fusion.
    assert len({one.fingerprint for one in loaded}) == len(names)
    # The miniature's model cannot list, and what is left of these two is the mean of five samples.
    for name in ("clip-gpt", "desclip"):
        assert opened(name, "mini", "compose", root).fingerprint == loaded[names.index("multi-query-mean")].fingerprint
        assert opened(name, "full", "compose", root).asked_as != opened("llm", "full", "compose", root).asked_as


@pytest.mark.parametrize(("name", "suite", "family"), list(cases()))
def test_a_card_is_what_it_says(name: str, suite: str, family: str, root: Path) -> None:
    loaded = opened(name, suite, family, root)
    card = ASKING[name]
    assert loaded.oracle == card.oracle == (name == "best-of-8")
    assert loaded.sampled == card.settings.get("sample", False)
    assert loaded.samples == (card.in_suite(suite).settings).get("samples", 1)  # type: ignore[arg-type]
    assert loaded.seen is None if name != "few-shot" else loaded.seen is not None
    assert json.loads(json.dumps(loaded.description)) == loaded.description
    if family != "compose":
        assert loaded.captioner is None
    elif loaded.captioner in catalog.captioner_names():
        assert suite in catalog.captioner_card(loaded.captioner).card.suites
    else:
        assert loaded.captioner in registry.names("captioners")


def test_captions_come_from_the_bank_in_the_miniature_alone(root: Path) -> None:
    for name in ("cirevl", "ldre"):
        found = [opened(name, suite, "compose", root).captioner for suite in ("mini", "full")]
        assert found == ["bank", "blip2"]


def combined(name: str, texts: list[str], suite: str = "mini") -> Rewrite:
    card: RewriterCard = ASKING[name].in_suite(suite)  # type: ignore[arg-type]
    query = QUERIES["translate"]
    made: Any = open_rewriter(name, Setup(suite, "translate", 0, Path(), task="flickr30k-cn"))  # type: ignore[arg-type]
    assert card.settings.get("samples", 1) == len(texts)
    answer: Rewrite = made.combine(query, [Rewrite("q", texts=(text,), raw=text) for text in texts])
    return answer


@pytest.mark.usefixtures("root")
def test_what_becomes_of_the_answers() -> None:
    five = ["a kite", "a red kite", "a red kite", "a kite", "a red kite"]
    own = QUERIES["translate"].text
    for name, fusion in (
        ("multi-query-rrf", "rrf"),
        ("multi-query-mean", "mean"),
        ("multi-query-max", "max"),
        ("llms-rewrite", "turns"),
        ("clip-gpt", "mean"),
        ("desclip", "mean"),
    ):
        made = combined(name, five)
        assert (set(made.texts), made.fusion) == ({"a kite", "a red kite"}, fusion)
    assert combined("multi-query-mean", five).weights == (2.0, 3.0)
    assert combined("llms-rewrite", five).weights == (2.0, 3.0), "a text that is given twice has two votes"
    assert combined("self-consistency", five).texts == ("a red kite",)
    made = combined("hyde", [*five, "a", "b", "c"])
    assert (made.fusion, made.texts[-1], sum(made.weights)) == ("mean", own, 9.0)
    assert combined("best-of-8", [*five, "a", "b", "c"]).fusion == "best"
