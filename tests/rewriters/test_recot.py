from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from grapebench.errors import UserError
from grapebench.records import Query, Rewrite
from grapebench.retrieval.searcher import Searcher
from grapebench.rewriters import LoadedRewriter, output
from grapebench.rewriters.engines import Answer, Request
from grapebench.rewriters.prompted import Local, Prompted
from grapebench.rewriters.prompts import Prompt
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.store import RewriteStore, rewrite_all

PROMPT = Prompt("translate", "Say with $concepts: $query", "Be short.", detect="Hard in $query?")
QUERIES = [Query(str(n), f" text {n} ") for n in range(6)]
DETECTIONS = {"0": "kite; lantern", "1": "None", "2": "...", "3": "- Sky"}


def reply(request: Request) -> Answer:
    """Concepts as in DETECTIONS, else 'kite'; a rewrite repeats what it was asked."""
    name, _, what = request.key.partition(" ")
    if what:
        return Answer(request.key, DETECTIONS.get(name, "kite"), 10, 3, money=0.5)
    return Answer(request.key, f"Caption: {request.messages[-1]['content']}", 100, 30, money=0.25)


class Fake:
    """An engine that answers with a function of the request, backwards, and remembers what it was asked."""

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        sample: bool = False
        image: bool = False

    reply: ClassVar[Callable[[Request], Answer]]
    asked: ClassVar[list[list[Request]]]
    together: ClassVar[int] = 2
    lease: ClassVar[float] = 7.0

    def __init__(self, settings: Settings, setup: Setup) -> None:
        self.sampled, self.sees = settings.sample, settings.image
        self.identity = settings.model_dump()
        self.description: dict[str, Any] = {}

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        Fake.asked.append(list(requests))
        for request in reversed(requests):
            yield type(self).reply(request)


class Faked(Prompted):
    name = "faked"
    engine_class = f"{__name__}:Fake"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Fake.asked, Fake.reply = [], reply


def make(prompt: Prompt = PROMPT, **settings: Any) -> Faked:
    return Faked(Faked.Settings(**settings), Setup("mini", prompt.family, 0, Path()), prompt)  # type: ignore[arg-type]


def loaded(made: Prompted) -> LoadedRewriter:
    from grapebench.rewriters import _loaded

    return _loaded("faked", made, None, {}, made.setup, made.prompt)


def by_id(rewrites: Any) -> dict[str, Rewrite]:
    return {rewrite.query_id: rewrite for rewrite in rewrites}


def keys(asked: Sequence[Request]) -> list[str]:
    return [request.key for request in asked]


def test_concepts_are_detected_then_the_query_is_rewritten() -> None:
    (found,) = make().rewrite(QUERIES[:1])
    (first,), (second,) = Fake.asked
    assert [turn["content"] for turn in first.messages] == ["Be short.", "Hard in text 0?"]
    assert [turn["content"] for turn in second.messages] == ["Be short.", "Say with kite; lantern: text 0"]
    assert (first.key, second.key) == ("0 concepts", "0"), "what is sampled for one is not what is for the other"
    assert found == Rewrite(
        "0", ("Say with kite; lantern: text 0",), raw="kite; lantern\nCaption: Say with kite; lantern: text 0",
        prompt_tokens=110, completion_tokens=33, money=0.75, trace={"concepts": "kite; lantern"},
    )  # fmt: skip


def test_a_query_without_challenging_concepts_stays_as_it_is() -> None:
    (found,) = make().rewrite(QUERIES[1:2])
    assert len(Fake.asked) == 1, "no rewrite is asked for"
    assert found == Rewrite(
        "1", (" text 1 ",), raw="None", prompt_tokens=10, completion_tokens=3, money=0.5, trace={"concepts": "None"}
    )


def test_an_unreadable_detection_is_counted_and_the_query_rewritten() -> None:
    (found,) = make().rewrite(QUERIES[2:3])
    assert (found.texts, found.fallback) == (("Say with None: text 2",), None)
    assert found.trace == {"undetected": "no words"}
    assert output.tally([found])["undetected"] == {"no words": 1}


def test_rewrites_are_asked_for_while_detections_come_in() -> None:
    found = by_id(make().rewrite(QUERIES))
    assert set(found) == {query.id for query in QUERIES}
    asked = [keys(some) for some in Fake.asked]
    assert asked == [[f"{n} concepts" for n in range(6)], ["5", "4"], ["3", "2"], ["0"]]
    assert found["3"].trace == {"concepts": "Sky"} and found["1"].texts == (" text 1 ",)
    Fake.asked = []
    assert by_id(make().rewrite_by(lambda asked: [reply(one) for one in asked], QUERIES)) == found
    assert Fake.asked == [], "another than the engine was asked"


def test_a_rewrite_that_is_lost_costs_what_was_paid(store: RewriteStore) -> None:
    """A failed detection and a failed rewrite are asked for again, both questions; the others stay stored."""
    failing = {"4 concepts", "5"}
    Fake.reply = lambda request: (
        Answer(request.key, "", 1, money=2.0, failure="timeout") if request.key in failing else reply(request)
    )
    found = by_id(rewrite_all(loaded(make()), QUERIES, store, 0))
    assert found["4"] == Rewrite("4", (" text 4 ",), fallback="timeout", prompt_tokens=1, money=2.0)
    assert (found["5"].fallback, found["5"].raw, found["5"].money) == ("timeout", None, 2.5)
    assert found["5"].trace["concepts"] == "kite"
    Fake.asked, Fake.reply = [], reply
    again = by_id(rewrite_all(loaded(make()), QUERIES, store, 0))
    assert sorted(keys(Fake.asked[0])) == ["4 concepts", "5 concepts"]
    assert again["4"].fallback is again["5"].fallback is None
    assert all(again[name] == found[name] for name in "0123")


def test_a_refused_detection_is_the_models_own_word(store: RewriteStore) -> None:
    Fake.reply = lambda request: (
        Answer(request.key, "no", 1, failure="refusal") if " " in request.key else reply(request)
    )
    (found,) = rewrite_all(loaded(make()), QUERIES[:1], store, 0)
    assert (found.texts, found.trace) == (("Say with None: text 0",), {"undetected": "refusal"})
    Fake.asked = []
    assert rewrite_all(loaded(make()), QUERIES[:1], store, 0) == [found] and Fake.asked == []


def test_an_unusable_rewrite_falls_back_and_keeps_its_concepts() -> None:
    Fake.reply = lambda request: reply(request) if " " in request.key else Answer(request.key, "...")
    (found,) = make().rewrite(QUERIES[:1])
    assert (found.texts, found.fallback, found.trace) == ((" text 0 ",), "no words", {"concepts": "kite; lantern"})


def test_one_answer_may_hold_both() -> None:
    prompt = dataclasses.replace(PROMPT, user="Both: $query", detect="")
    raws = {"0": "Concepts: kite\nRewrite: a kite", "1": "Concepts: None", "2": "a kite", "3": "Concepts: kite"}
    Fake.reply = lambda request: Answer(request.key, raws[request.key])
    found = by_id(make(prompt, answer="concepts").rewrite(QUERIES[:4]))
    assert len(Fake.asked) == 1
    told = {name: (one.texts[0], one.fallback, one.trace) for name, one in found.items()}
    assert told == {
        "0": ("a kite", None, {"concepts": "kite"}),
        "1": (" text 1 ", None, {"concepts": "None"}),
        "2": ("a kite", None, {"undetected": "missing"}),
        "3": (" text 3 ", "empty", {"concepts": "kite"}),
    }


def test_a_query_too_long_loses_its_end_in_both_questions() -> None:
    list(make().rewrite(QUERIES[:1]))
    shortened = [some[0].shorter(4) for some in Fake.asked]
    assert [one and one[-1]["content"] for one in shortened] == ["Hard in text?", "Say with kite; lantern: text"]


def test_each_sample_has_its_own_concepts(store: RewriteStore) -> None:
    Fake.reply = lambda request: Answer(request.key, "None") if request.key == "0#1 concepts" else reply(request)
    (found,) = rewrite_all(loaded(make(sample=True, samples=3)), QUERIES[:1], store, 0)
    # DETECTIONS name only sample 0.
    assert found.texts == ("Say with kite; lantern: text 0", " text 0 ", "Say with kite: text 0")
    assert found.trace == {"concepts": "kite; lantern | None | kite"}
    assert found.prompt_tokens == 110 + 0 + 110


def test_the_fingerprint_holds_the_detection() -> None:
    plain = dataclasses.replace(PROMPT, user="$query", detect="")
    made = [
        make(),
        make(dataclasses.replace(PROMPT, detect="Other? $query")),
        make(dataclasses.replace(PROMPT, user="Say $concepts $query")),
        make(plain),
        make(plain, answer="concepts"),
    ]
    assert len({one.asked_as for one in made}) == len({one.rendered_sha256(QUERIES[:1]) for one in made}) + 1 == 5
    assert made[0].description["prompt"] == {
        "sha256": PROMPT.sha256, "system": "Be short.", "user": "Say with $concepts: $query",
        "detect": "Hard in $query?",
    }  # fmt: skip
    assert "detect" not in make(plain).description["prompt"]


def test_a_plain_prompts_hash_is_as_it_was() -> None:
    from grapebench.files import sha256_json

    plain = Prompt("translate", "Say: $query", "Be short.")
    assert plain.sha256 == sha256_json({"system": "Be short.", "user": "Say: $query"})
    made = make(plain)
    assert made.asked_as == sha256_json(["faked", made.engine.identity, plain.sha256, "text", [], 1])


def test_two_questions_are_not_mistaken_for_one() -> None:
    with pytest.raises(UserError, match="uses \\$concepts, and those of query '0' were not asked for"):
        make().requests(QUERIES[:1])
    from grapebench.rewriters import batch_files

    with pytest.raises(UserError, match="asks for concepts first"):
        batch_files.prompted(loaded(make()))
    assert make().lease == 14 and make(dataclasses.replace(PROMPT, user="$query", detect="")).lease == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answer": "concepts"}, "concepts are asked for twice"),
        ({"few_shot": 2}, "examples have no concepts"),
        ({"vote": True}, "needs several answers"),
    ],
)
def test_settings_that_make_no_sense_together(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**settings)


def test_a_model_that_sees_is_shown_the_reference_twice(searcher: Searcher) -> None:
    made = make(image=True)
    made.attach(searcher)
    list(made.rewrite([Query("a", "blue", reference="i3")]))
    assert [some[0].images for some in Fake.asked] == [(b"i3",), (b"i3",)]


def test_a_real_model_is_asked_twice(tiny_lm: Path) -> None:
    def local(**settings: Any) -> Local:
        values = {"model": str(tiny_lm), "dtype": "float32", "max_new_tokens": 8} | settings
        return Local(Local.Settings(**values), Setup("mini", "translate", 0, tiny_lm, device="cpu"), PROMPT)

    together = by_id(local(sample=True).rewrite(QUERIES))
    alone = by_id(itertools.chain.from_iterable(local(sample=True).rewrite([query]) for query in QUERIES))
    assert together == alone and set(together) == {query.id for query in QUERIES}
    asked_twice = [one for one in together.values() if one.trace.get("concepts") != "None"]
    assert asked_twice and all(one.prompt_tokens > 40 for one in asked_twice)
