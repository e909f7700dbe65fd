from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from grapebench.errors import UserError
from grapebench.records import Query, Rewrite
from grapebench.retrieval.searcher import Searcher
from grapebench.rewriters import LoadedRewriter
from grapebench.rewriters.engines import Answer, Request
from grapebench.rewriters.prompted import Local, Prompted
from grapebench.rewriters.prompts import Prompt
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.store import RewriteStore, rewrite_all

PROMPT = Prompt("translate", "Say: $query", "Be short.")
QUERIES = [Query(str(n), f" text {n} ") for n in range(6)]
REFERRING = [Query("a", "blue", reference="i3"), Query("b", "red", reference="i4"), Query("c", "red")]


class Fake:
    """An engine that answers with a function of the request, backwards, and remembers what it was asked."""

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        model: str = "fake"
        sample: bool = False
        image: bool = False

    reply: ClassVar[Callable[[Request], Answer]]
    asked: ClassVar[list[Request]]

    def __init__(self, settings: Settings, setup: Setup) -> None:
        assert type(settings) is Fake.Settings
        self.settings = settings
        self.sampled, self.sees = settings.sample, settings.image
        self.identity = [settings.model, settings.sample, settings.image]
        self.description = {"model": {"name": settings.model}}

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        for request in reversed(requests):
            Fake.asked.append(request)
            yield type(self).reply(request)


class Faked(Prompted):
    name = "faked"
    engine_class = f"{__name__}:Fake"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Fake.asked = []
    Fake.reply = lambda request: Answer(request.key, f"answer {request.key}", 5, 2)


def make(prompt: Prompt | None = PROMPT, **settings: Any) -> Faked:
    setup = Setup("mini", prompt.family if prompt else "translate", 0, Path())  # type: ignore[arg-type]
    return Faked(Faked.Settings(**settings), setup, prompt)


def loaded(made: Prompted) -> LoadedRewriter:
    """As `open_rewriter` makes it."""
    from grapebench.rewriters import _loaded

    return _loaded("faked", made, None, {}, made.setup, made.prompt)


def by_id(rewrites: Any) -> dict[str, Rewrite]:
    return {rewrite.query_id: rewrite for rewrite in rewrites}


def test_a_query_becomes_a_request_and_its_answer_a_rewrite() -> None:
    (rewrite,) = make().rewrite(QUERIES[:1])
    (request,) = Fake.asked
    system, user = request.messages
    assert (system["role"], system["content"]) == ("system", "Be short.")
    assert (user["role"], user["content"]) == ("user", "Say: text 0")
    assert (request.key, request.length, request.images) == ("0", 6, ())
    assert rewrite == Rewrite("0", ("answer 0",), raw="answer 0", prompt_tokens=5, completion_tokens=2)


def test_a_shorter_request_has_the_beginning_of_the_text() -> None:
    list(make().rewrite(QUERIES[:1]))
    (request,) = Fake.asked
    shorter = [request.shorter(length) for length in (6, 5, 4, 0)]
    assert [one and one[-1]["content"] for one in shorter] == ["Say: text 0", "Say: text", "Say: text", None]
    assert all(one is None or one[0] == request.messages[0] for one in shorter)


def test_what_an_answer_is_read_as() -> None:
    Fake.reply = lambda request: Answer(request.key, "Caption: 'a kite'", trace={"cut output": "x"}, money=0.25)
    (rewrite,) = make().rewrite(QUERIES[:1])
    assert (rewrite.texts, rewrite.raw, rewrite.fallback) == (("a kite",), "Caption: 'a kite'", None)
    assert (rewrite.money, rewrite.trace) == (0.25, {"cut output": "x"})
    Fake.reply = lambda request: Answer(request.key, "I'm sorry, but no", 3)
    (rewrite,) = make().rewrite(QUERIES[:1])
    assert (rewrite.texts, rewrite.raw, rewrite.fallback) == ((" text 0 ",), "I'm sorry, but no", "refusal")


def test_lines_are_texts_of_their_own() -> None:
    Fake.reply = lambda request: Answer(request.key, "1. a kite\n2. a dragon\n")
    (rewrite,) = make(answer="lines").rewrite(QUERIES[:1])
    assert rewrite.texts == ("a kite", "a dragon")
    assert make(answer="lines").asked_as != make().asked_as
    Fake.reply = lambda request: Answer(request.key, "\n")
    (rewrite,) = make(answer="lines").rewrite(QUERIES[:1])
    assert (rewrite.texts, rewrite.fallback) == ((" text 0 ",), "empty")


def test_a_failure_is_asked_for_again_and_a_refusal_is_not(store: RewriteStore) -> None:
    failures = {"0": "error 500", "1": "refusal", "2": "timeout"}
    Fake.reply = lambda request: (
        Answer(request.key, "no" if request.key == "1" else "", 7, money=0.5, failure=failures[request.key])
        if request.key in failures
        else Answer(request.key, "fine")
    )
    answers = rewrite_all(loaded(make()), QUERIES, store, 0)
    assert [answer.fallback for answer in answers] == ["error 500", "refusal", "timeout", None, None, None]
    assert answers[0] == Rewrite("0", (" text 0 ",), fallback="error 500", prompt_tokens=7, money=0.5)
    assert answers[1].raw == "no"
    Fake.asked = []
    again = rewrite_all(loaded(make()), QUERIES, store, 0)
    assert sorted(request.key for request in Fake.asked) == ["0", "2"]
    assert again == answers


@pytest.mark.parametrize("form", ["text", "lines", "concepts"])
@pytest.mark.parametrize("raw", ["Sure!\na kite", "Concepts: kite\nRewrite: a kite", "I'm sorry, but no", "",
                                 "1. a\n2. b", "<think>hm", "Say: text 0"])  # fmt: skip
def test_what_is_stored_is_read_as_if_it_were_fresh(form: str, raw: str) -> None:
    made = make(answer=form)
    answer = Answer("0", raw, 5, 2, 0.5, trace={"cut output": "x"})
    fresh = made.read(QUERIES[0], answer)
    old = dataclasses.replace(fresh, texts=("older",), fallback="empty", seconds=3.0)
    assert made.read_again(QUERIES[0], old) == fresh and made.read_again(QUERIES[0], old).seconds == 3.0
    assert made.read_again(QUERIES[0], fresh) == fresh


def test_the_engines_own_refusal_stays_one() -> None:
    made = make()
    for failure in ("refusal", "content filter"):
        fresh = made.read(QUERIES[0], Answer("0", "a kite", failure=failure))
        assert fresh.fallback == failure and made.read_again(QUERIES[0], fresh) == fresh
    read = dataclasses.replace(fresh, fallback="refusal", trace={}, raw="Sorry, we're closed sign in a shop window")
    assert made.read_again(QUERIES[0], read).texts == ("Sorry, we're closed sign in a shop window",)


def test_a_rewriter_that_cannot_hold_a_schema_says_so() -> None:
    with pytest.raises(
        UserError, match="answer = 'json': faked cannot hold a model to a JSON Schema; use the mechanism"
    ):
        make(answer="json")


def test_an_echo_of_the_prompt_is_a_fallback() -> None:
    Fake.reply = lambda request: Answer(request.key, "Be short.")
    (rewrite,) = make().rewrite(QUERIES[:1])
    assert (rewrite.texts, rewrite.fallback) == ((" text 0 ",), "echo")
    Fake.reply = lambda request: Answer(request.key, "text 0")
    (rewrite,) = make().rewrite(QUERIES[:1])
    assert (rewrite.texts, rewrite.fallback) == (("text 0",), None), "a good query may stay"


def test_samples_are_asked_for_and_combined(store: RewriteStore) -> None:
    made = make(sample=True, samples=3, fusion="rrf", with_query=0.5)
    Fake.reply = lambda request: Answer(request.key, "same" if request.key in ("0", "0#2") else request.key, 5, 2)
    first, second = rewrite_all(loaded(made), QUERIES[:2], store, 0)
    assert sorted(request.key for request in Fake.asked) == ["0", "0#1", "0#2", "1", "1#1", "1#2"]
    assert (first.query_id, first.texts, first.weights) == ("0", ("same", "0#1", " text 0 "), (2, 1, 0.5))
    assert (first.fusion, first.prompt_tokens, first.completion_tokens) == ("rrf", 15, 6)
    assert second.texts == ("1", "1#1", "1#2", " text 1 ")


def test_equal_prompts_share_their_answers(store: RewriteStore) -> None:
    """What is made of the answers, and how many there are, is no new question."""
    mean = make(sample=True, samples=4)
    rewrite_all(loaded(mean), QUERIES, store, 0)
    assert len(Fake.asked) == 24
    Fake.asked = []
    for other in (
        make(sample=True, samples=4, fusion="max", with_query=1),
        make(sample=True, samples=4, vote=True),
        make(sample=True, samples=2),
        make(sample=True),
    ):
        assert other.asked_as == mean.asked_as and other.fingerprint != mean.fingerprint
        assert len(rewrite_all(loaded(other), QUERIES, store, 0)) == 6
    assert Fake.asked == []
    assert rewrite_all(loaded(make(sample=True)), QUERIES, store, 0)[0].texts == ("answer 0",)
    rewrite_all(loaded(make(sample=True, samples=6)), QUERIES, store, 0)
    assert sorted({request.key.partition("#")[2] for request in Fake.asked}) == ["4", "5"]


def test_only_the_samples_that_failed_are_asked_for_again(store: RewriteStore) -> None:
    made = make(sample=True, samples=3)
    broken = {"0#1", "1", "1#1", "1#2"}
    Fake.reply = lambda request: Answer(request.key, request.key, failure="timeout" if request.key in broken else None)
    answers = rewrite_all(loaded(made), QUERIES[:3], store, 0)
    assert [answer.fallback for answer in answers] == [None, "timeout", None]
    assert answers[0].texts == ("0", "0#2") and answers[0].trace["unanswered"] == "timeout"
    assert answers[1].texts == (" text 1 ",)
    Fake.asked = []
    broken.clear()
    answers = rewrite_all(loaded(made), QUERIES[:3], store, 0)
    assert sorted(request.key for request in Fake.asked) == ["0#1", "1", "1#1", "1#2"]
    assert answers[0].texts == ("0", "0#1", "0#2")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 2}, "samples = 2, and a model that does not sample gives the same answer each time"),
        ({"vote": True, "sample": True}, "vote = true needs several answers"),
    ],
)
def test_settings_that_make_no_sense_together(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**settings)


def test_settings_are_those_of_both() -> None:
    fields = set(Faked.Settings.model_fields)
    assert {"model", "image", "samples", "fusion", "with_query", "answer", "few_shot", "vote"} <= fields
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Faked.Settings(modell="x")
    with pytest.raises(ValidationError, match="frozen"):
        Faked.Settings().samples = 2
    assert Faked.Settings is Faked.Settings is not Local.Settings


def test_the_fingerprint_holds_what_changes_a_rewrite() -> None:
    base = make()
    assert base.fingerprint == make(few_shot=0).fingerprint and base.asked_as == make(few_shot=0).asked_as
    sampled: list[dict[str, Any]] = [
        {"samples": 2},
        {"samples": 3},
        {"samples": 2, "fusion": "max"},
        {"samples": 2, "vote": True},
    ]
    made = [
        base,
        make(model="other"),
        make(dataclasses.replace(PROMPT, system="Be long.")),
        make(with_query=1),
        make(fusion="rrf"),
        make(answer="lines"),
        *(make(sample=True, **more) for more in sampled),
    ]
    assert len({one.fingerprint for one in made}) == len(made)
    assert len({one.asked_as for one in made}) == 5, "with_query, fusion, samples and vote ask nothing else"


def test_the_best_of_several_is_an_oracle() -> None:
    best = make(sample=True, samples=2, fusion="best")
    assert loaded(best).oracle and not loaded(make()).oracle


def test_what_a_result_says() -> None:
    told = make().description
    assert told["model"] == {"name": "fake"} and told["output_contract"] >= 1
    assert told["prompt"] == {"sha256": PROMPT.sha256, "system": "Be short.", "user": "Say: $query"}
    assert "answers" not in told
    several = make(sample=True, samples=2, vote=True).description["answers"]
    assert several == {"samples": 2, "fusion": "mean", "with_query": 0.0, "vote": True}


def test_a_prompt_is_needed() -> None:
    with pytest.raises(UserError, match="needs prompts"):
        make(None)


def test_the_rendered_prompts_have_a_hash() -> None:
    made = make()
    whole = made.rendered_sha256(QUERIES)
    assert whole == make(model="other").rendered_sha256(QUERIES)
    others = [made.rendered_sha256(QUERIES[:5]), made.rendered_sha256(QUERIES[::-1]),
              make(dataclasses.replace(PROMPT, system="")).rendered_sha256(QUERIES)]  # fmt: skip
    assert len({whole, *others}) == 4 and len(whole) == 64


def test_examples_go_between_the_system_and_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    from grapebench.rewriters import few_shot

    counts: list[int] = []

    def examples(setup: Setup, prompt: Prompt, count: int) -> tuple[dict[str, str], ...]:
        counts.append(count)
        return ({"role": "user", "content": "Say: ein Drachen"}, {"role": "assistant", "content": "a kite"})

    monkeypatch.setattr(few_shot, "examples", examples)
    made = make(few_shot=1)
    assert counts == [], "they are read when they are needed"
    assert [turn["role"] for turn in made.messages(QUERIES[0])] == ["system", "user", "assistant", "user"]
    assert made.messages(QUERIES[0])[-1]["content"] == "Say: text 0"
    assert made.fingerprint != make().fingerprint
    assert made.description["prompt"]["few_shot"]["examples"] == 1
    assert made.rendered_sha256(QUERIES) != make().rendered_sha256(QUERIES)
    assert counts == [1]


def test_a_model_that_sees_is_shown_the_reference(searcher: Searcher, store: RewriteStore) -> None:
    made = make(image=True)
    with pytest.raises(UserError, match="was given neither"):
        list(made.rewrite(REFERRING))
    made.attach(searcher)
    rewrite_all(loaded(made), REFERRING, store, 0)
    assert {request.key: request.images for request in Fake.asked} == {"a": (b"i3",), "b": (b"i4",), "c": ()}
    blind = make()
    assert blind.depends_on(REFERRING) == [None] * 3
    Fake.asked = []
    list(blind.rewrite(REFERRING))
    assert all(request.images == () for request in Fake.asked)


def test_another_picture_under_the_same_name_is_another_question(searcher: Searcher, store: RewriteStore) -> None:
    class Changed:
        def read(self, image_id: str) -> bytes:
            return b"new"

        def sha256(self, image_ids: Sequence[str]) -> list[str]:
            return ["new"] * len(image_ids)

    made = make(image=True)
    made.attach(searcher)
    before = made.rendered_sha256(REFERRING)
    rewrite_all(loaded(made), REFERRING, store, 0)
    Fake.asked = []
    rewrite_all(loaded(made), REFERRING, store, 0)
    assert Fake.asked == []
    gallery = dataclasses.replace(searcher.gallery, images=Changed())  # type: ignore[arg-type]
    made.attach(dataclasses.replace(searcher, gallery=gallery))
    rewrite_all(loaded(made), REFERRING, store, 0)
    assert sorted(request.key for request in Fake.asked) == ["a", "b"]
    assert made.rendered_sha256(REFERRING) != before


def local(folder: Path, seed: int = 0, **settings: Any) -> Local:
    values = {"model": str(folder), "dtype": "float32", "max_new_tokens": 8} | settings
    return Local(Local.Settings(**values), Setup("mini", "translate", seed, folder, device="cpu"), PROMPT)


def test_a_real_model_answers(tiny_lm: Path) -> None:
    together = by_id(local(tiny_lm).rewrite(QUERIES))
    alone = by_id(itertools.chain.from_iterable(local(tiny_lm).rewrite([query]) for query in QUERIES))
    assert together == alone and set(together) == {query.id for query in QUERIES}
    assert all(rewrite.prompt_tokens > 20 and rewrite.raw is not None for rewrite in together.values())
    assert local(tiny_lm, batch_tokens=7, seed=5).fingerprint == local(tiny_lm).fingerprint


def test_a_sample_is_the_same_with_any_number_in_any_order(tiny_lm: Path, tmp_path: Path) -> None:
    def answers(name: str, queries: Sequence[Query], samples: int, **more: Any) -> dict[str, Rewrite]:
        with RewriteStore(tmp_path / name) as store:
            made = loaded(local(tiny_lm, seed=1, sample=True, samples=samples, **more))
            return by_id(rewrite_all(made, queries, store, 1))

    four = answers("four", QUERIES, 4)
    assert answers("backwards", QUERIES[::-1], 4, batch_tokens=100) == four
    two = answers("two", QUERIES, 2)
    assert all(set(two[key].texts) <= {*four[key].texts, QUERIES[int(key)].text} for key in two)
    assert sum(len(rewrite.texts) > 2 for rewrite in four.values()) > 3
