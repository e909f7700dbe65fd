"""The engine alone, against a server on loopback that fails in every way."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from grapebench.errors import UserError
from grapebench.rewriters.engines import Answer, Request, spending
from grapebench.rewriters.engines.api import Api
from grapebench.rewriters.engines.giving_up import is_hopeless
from grapebench.rewriters.sampling import seed_of
from grapebench.rewriters.setup import Setup
from tests.rewriters.engines.server import Server, completion

KEY = "sk-very-secret-0123456789"
TEXTS = [f"text {number}" for number in range(12)]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    yield
    spending.purse.cache_clear()


def api(server: Server | str, seed: int = 0, **settings: Any) -> Api:
    url = server if isinstance(server, str) else server.url
    settings = {"model": "m", "base_url": url, "timeout": 20, "retries": 2} | settings
    return Api(Api.Settings(**settings), Setup("mini", "translate", seed, Path("/")))


def request(text: str, key: str | None = None, images: tuple[bytes, ...] = ()) -> Request:
    def shorter(length: int) -> tuple[dict[str, str], ...] | None:
        return ({"role": "user", "content": text[:length]},) if text[:length] else None

    return Request(key or text, ({"role": "user", "content": text},), shorter, len(text), images)


def ask(engine: Api, texts: Sequence[str] = TEXTS) -> dict[str, Answer]:
    return {answer.key: answer for answer in engine.answer([request(text) for text in texts])}


def failures(found: dict[str, Answer]) -> dict[str, str]:
    return {key: answer.failure for key, answer in found.items() if answer.failure is not None}


def test_an_answer_for_each_request(server: Server) -> None:
    found = ask(api(server, price_in=1, price_out=2))
    assert {key: answer.raw for key, answer in found.items()} == {text: f"answer to {text}" for text in TEXTS}
    assert all(
        (answer.prompt_tokens, answer.completion_tokens, answer.trace) == (10, 5, {}) for answer in found.values()
    )
    assert found["text 3"].money == pytest.approx(20e-6)
    assert server.asked == dict.fromkeys(TEXTS, 1)
    assert server.keys == {f"Bearer {KEY}"}


def test_what_is_sent(server: Server) -> None:
    ask(api(server, max_new_tokens=7, extra={"chat_template_kwargs": {"enable_thinking": False}}), ["hello"])
    ask(api(server, sample=True, temperature=0.5, top_p=0.9, tokens_field="max_tokens", seed=3), ["hello"])
    ask(api(server, sample=True, leave_out=["temperature", "top_p", "seed"]), ["hello"])
    turns = [{"role": "user", "content": "hello"}]
    assert server.bodies == [
        {"model": "m", "messages": turns, "max_completion_tokens": 7, "temperature": 0,
         "chat_template_kwargs": {"enable_thinking": False}},
        {"model": "m", "messages": turns, "max_tokens": 64, "temperature": 0.5, "top_p": 0.9,
         "seed": seed_of(3, "hello")},
        {"model": "m", "messages": turns, "max_completion_tokens": 64},
    ]  # fmt: skip


def test_images_go_as_data_urls(server: Server) -> None:
    engine = api(server, image=True)
    assert engine.sees and not api(server).sees
    (found,) = engine.answer([request("what is it", images=(PNG,))])
    image, text = server.bodies[0]["messages"][0]["content"]
    assert text == {"type": "text", "text": "what is it"}
    assert base64.b64decode(image["image_url"]["url"].removeprefix("data:image/png;base64,")) == PNG
    assert found.raw == "answer to what is it"


def test_what_is_no_image_fails_alone(server: Server) -> None:
    requests = [request("one", images=(b"no image",)), request("two", images=(PNG,))]
    found = {answer.key: answer for answer in api(server, image=True).answer(requests)}
    assert failures(found) == {"one": "unreadable image"} and found["two"].raw == "answer to two"


def test_the_character_set_of_a_header_is_not_believed(server: Server) -> None:
    server.fail(["caf\u00e9 \u8336"], "latin-1")
    (found,) = api(server).answer([request("caf\u00e9 \u8336")])
    assert found.raw == "answer to caf\u00e9 \u8336"


def test_no_more_at_once_than_allowed(server: Server) -> None:
    server.delay = 0.05
    ask(api(server, concurrency=3))
    assert server.most == 3


def test_answers_come_before_the_last_is_there(server: Server) -> None:
    server.fail(TEXTS[:1], "silence")
    found = api(server, timeout=60).answer([request(text) for text in TEXTS])
    first = [next(found).key for _ in TEXTS[1:]]
    assert sorted(first) == sorted(TEXTS[1:])
    found.close()  # type: ignore[attr-defined]


def test_faults_that_pass_cost_no_answer(server: Server) -> None:
    """Rate limits, errors, lost connections, half answers and silence, each twice, all at once."""
    for text, fault in zip(TEXTS, ["500", "503", "drop", "half", "silence", "429"], strict=False):
        server.fail([text], fault, fault)
    started = time.monotonic()
    found = ask(api(server, timeout=2, concurrency=12))
    assert failures(found) == {} and len(found) == len(TEXTS)
    assert server.answered == dict.fromkeys(TEXTS, 1)
    assert server.asked["text 5"] == 3
    assert time.monotonic() - started >= 2, "a Retry-After of 1 second was not waited for, twice"


def test_faults_that_stay_are_told_and_lose_nothing_else(server: Server) -> None:
    faults = ["500", "drop", "half", "silence", "429", "400", "garbage", '{200}{"choices": []}']
    for text, fault in zip(TEXTS, faults, strict=False):
        server.fail([text], *[fault] * 9)
    found = ask(api(server, timeout=2, retries=0))
    assert failures(found) == {
        "text 0": "error 500", "text 1": "connection lost", "text 2": "connection lost", "text 3": "timeout",
        "text 4": "error 429", "text 5": "error 400", "text 6": "no JSON in the reply",
        "text 7": "no answer in the reply",
    }  # fmt: skip
    assert {key for key, answer in found.items() if answer.raw} == set(TEXTS[8:])
    assert found["text 0"].trace == {"error": "500, said to Bearer ***"}
    assert server.answered == dict.fromkeys(TEXTS[8:], 1)


def test_a_content_filter_is_the_last_word(server: Server) -> None:
    server.fail(["a"], '{400}{"error": {"code": "content_filter", "message": "filtered"}}')
    assert failures(ask(api(server), ["a", "b"])) == {"a": "content filter"}


def test_a_prompt_too_long_is_shortened(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    told = '{400}{"error": {"message": "This model\'s maximum context length is 40 tokens", "code": 400}}'
    next_fault = server.next_fault
    monkeypatch.setattr(server, "next_fault", lambda text: told if len(text) > 40 else next_fault(text))
    found = ask(api(server), ["y" * 100, "short"])
    assert found["y" * 100].raw == "answer to " + "y" * 31
    assert found["y" * 100].trace == {"cut prompt": "the first 31 of 100 characters of the query were sent"}
    assert found["short"].trace == {}


def test_a_prompt_that_never_fits_is_a_failure(server: Server) -> None:
    server.always = '{400}{"error": {"message": "too long", "code": "context_length_exceeded"}}'
    assert failures(ask(api(server), ["abcdef"])) == {"abcdef": "error 400"}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("401", r"http://127\.0\.0\.1:\d+/v1 refuses the key in OPENAI_API_KEY \(error 401\); correct that variable"),
        ("404", r"/v1 knows no model 'm' \(error 404\); http://127\.0\.0\.1:\d+/v1/models lists those it has"),
        ("400", r"failed 5 requests in a row, the last with: error 400 \(400, said to Bearer \*\*\*\)"),
        ('{402}{"error": "pay"}', "has no credit left"),
        ('{429}{"error": {"code": "insufficient_quota"}}', "has no credit left"),
        (
            '{400}{"error": {"message": "response_format of type json_schema is not supported"}}',
            r"holds no model to a JSON Schema \(error 400: response_format of type json_schema is not .*\); set answer",
        ),
        ("garbage", "failed 20 requests in a row, the last with: no JSON in the reply; what was answered is kept"),
    ],
)
def test_what_would_go_wrong_for_all_ends_the_run(server: Server, fault: str, message: str) -> None:
    server.always = fault
    with pytest.raises(UserError, match=message) as error:
        ask(api(server, concurrency=1, retries=0), [f"text {number}" for number in range(30)])
    assert KEY not in str(error.value) and KEY not in repr(error.value)
    assert sum(server.asked.values()) in (1, 5, 20)


def test_a_missing_key_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    server.always = "401"
    with pytest.raises(UserError, match=r"wants a key \(error 401\); set the environment variable OPENAI_API_KEY"):
        ask(api(server))


def test_a_server_without_keys_needs_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert failures(ask(api(server))) == {}
    assert server.keys == {"Bearer none"}


def test_no_server_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(UserError, match=f"no connection to {url}; start the server"):
            ask(api(url, retries=0))


def test_a_server_that_goes_away_keeps_what_was_answered(server: Server) -> None:
    texts = [f"text {number}" for number in range(60)]
    server.fail(texts[10:], *["drop"] * 9)
    found: list[Answer] = []
    with pytest.raises(UserError, match="failed 20 requests in a row, the last with: connection lost"):
        for answer in api(server, retries=0, concurrency=4).answer([request(text) for text in texts]):
            found.append(answer)
    assert {answer.raw for answer in found if answer.failure is None} == {f"answer to {text}" for text in texts[:10]}
    assert len(found) == sum(server.asked.values()) < 60, "those under way when it was given up were waited for"


@pytest.mark.parametrize(
    ("row", "answered", "hopeless"),
    [
        (["error 400"] * 4, 0, False),
        (["error 400"] * 5, 0, True),
        (["error 500", "error 400"] * 4, 0, False),
        (["error 400"] * 19, 1, False),
        (["error 500"] * 19, 0, False),
        (["error 500", "timeout"] * 10, 5, True),
        (["error 401"], 5, True),
        (["error 404"], 0, True),
        (["error 404"], 1, False),
    ],
)
def test_when_a_server_is_given_up(row: list[str], answered: int, hopeless: bool) -> None:
    assert is_hopeless(row, answered) is hopeless


def test_single_failures_do_not_add_up(server: Server) -> None:
    texts = [f"text {number}" for number in range(50)]
    server.fail(texts[::2], "garbage")
    assert len(failures(ask(api(server, concurrency=1), texts))) == 25


def test_the_budget_is_not_passed(server: Server) -> None:
    """Each answer may come to 108 + 64 tokens and comes to 10 + 5."""
    texts = [f"t{number:02}" for number in range(40)]
    server.delay = 0.02
    worst, real = (16 + 16 + 3 + 64) * 1e-3, 15e-3
    found = list[Answer]()
    with pytest.raises(UserError, match=r"could pass the budget of 0\.4: 0\.3\d+ spent, 2\d of 40 answers are there"):
        for answer in api(server, price_in=1000, price_out=1000, budget=0.4).answer([request(text) for text in texts]):
            found.append(answer)
    spent = sum(server.answered.values()) * real
    assert 0.4 - worst < spent <= 0.4
    assert len(found) == sum(server.answered.values()), "every answer that was paid for was handed over"
    assert server.most <= 0.4 // worst


def test_a_budget_holds_for_all_runs_of_a_process(server: Server) -> None:
    prices = {"price_in": 1000, "price_out": 1000, "budget": 0.2}
    with pytest.raises(UserError, match="0 of 40|[1-9] of 40"):
        ask(api(server, **prices), [f"a{number}" for number in range(40)])
    with pytest.raises(UserError, match="0 of 40"):
        ask(api(server, seed=1, **prices), [f"b{number}" for number in range(40)])
    assert sum(server.answered.values()) * 15e-3 <= 0.2
    assert len(ask(api(server, **prices | {"budget": 9}), [f"a{number}" for number in range(40)])) == 40


def test_what_may_have_been_charged_counts(server: Server) -> None:
    server.always = "drop"
    with pytest.raises(UserError, match=r"could pass the budget of 0\.3: 0\.29\d+ spent, 0 of 12"):
        ask(
            api(server, price_in=1000, price_out=1000, budget=0.3, retries=0, concurrency=1),
            [f"t{n:02}" for n in range(12)],
        )


def test_a_key_that_a_server_repeats_goes_no_further(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.rewriters.engines.server.completion", lambda text, body: completion(KEY, body))
    assert ask(api(server), ["a"])["a"].raw == "answer to ***"


def test_the_address_may_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, setup = Api.Settings(model="m"), Setup("mini", "translate", 0, Path("/"))
    assert Api(settings, setup).base_url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
    assert Api(settings, setup).base_url == server.url
    assert next(Api(settings, setup).answer([request("a")])).raw == "answer to a"
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://me:{KEY}@host/v1")
    with pytest.raises(UserError, match="OPENAI_BASE_URL must hold no name, password") as error:
        Api(settings, setup)
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": 1.0}, "needs price_in and price_out"),
        ({"price_in": 1.0}, "belong together"),
        ({"extra": {"n": 4}}, "n is not set here"),
        ({"leave_out": ["temperature"]}, "set sample = true"),
        ({"concurrency": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Api.Settings(model="m", **settings)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8000", "base_url is no address; write it as in http"),
        (f"https://me:{KEY}@host/v1", "base_url must hold no name, password"),
        (f"https://host/v1?key={KEY}", "base_url must hold no name, password"),
    ],
)
def test_an_address_that_is_none_or_holds_a_key(url: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        api(url)
    assert KEY not in str(error.value)


def test_what_determines_an_answer_is_in_the_identity() -> None:
    plain = api("http://a/v1")
    others = [
        *({"model": "n"}, {"base_url": "http://b/v1"}, {"max_new_tokens": 9}, {"image": True}, {"extra": {"top_k": 1}}),
        *({"sample": True}, {"sample": True, "temperature": 0.5}, {"sample": True, "leave_out": ["seed"]}),
    ]
    identities = [str(plain.identity), *(str(api("http://a/v1", **other).identity) for other in others)]
    assert len(set(identities)) == len(identities)
    same = api(
        "http://a/v1", seed=4, concurrency=3, timeout=9, retries=0, key_env="X", price_in=1, price_out=1, budget=1
    )
    assert same.identity == plain.identity
    assert KEY not in str([same.description, vars(same), same.settings])


def test_the_lease_holds_all_retries() -> None:
    assert api("http://a/v1", timeout=30, retries=1).lease == 300


def test_texts_that_end_an_answer_are_sent_and_are_part_of_the_identity() -> None:
    plain, stopped = api("http://localhost:1/v1"), api("http://localhost:1/v1", stop=["\n", "###"])
    assert stopped.body(request("one"))["stop"] == ["\n", "###"] and "stop" not in plain.body(request("one"))
    assert "stop" not in plain.identity[-1] and stopped.identity[-1]["stop"] == ["\n", "###"]
    with pytest.raises(ValidationError, match="stop is set twice"):
        api("http://localhost:1/v1", stop=["a"], extra={"stop": ["b"]})
