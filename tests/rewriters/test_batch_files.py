from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.records import Gallery, Query, Rewrite
from grapebench.retrieval.searcher import Searcher
from grapebench.rewriters import LoadedRewriter, batch_answers, batch_files, open_rewriter, output
from grapebench.rewriters.batch_answers import find_manifest, put, read_answers
from grapebench.rewriters.batch_files import export, load_manifest, manifest_path, unanswered
from grapebench.rewriters.claims import Claims
from grapebench.rewriters.engines import Request
from grapebench.rewriters.engines.api import Api
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.store import RewriteStore, all_answers

QUERIES = [Query(f"q{n}", f"Wort {n}", language="de") for n in range(6)]
PNG = b"\x89PNG\r\n\x1a\n"
Open = Callable[..., LoadedRewriter]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A rewriter from a card of the mechanism api, whose server must not be asked."""

    def refuse(self: Api, requests: Sequence[Request]) -> Any:
        raise AssertionError(f"{len(requests)} requests were sent")

    monkeypatch.setattr(Api, "answer", refuse)
    (tmp_path / "system.txt").write_text("Be short.")
    (tmp_path / "translate.txt").write_text("From $language: $query")
    (tmp_path / "compose.txt").write_text("$caption, but: $query")

    def make(mechanism: str = "api", seed: int = 0, family: Any = "translate", **settings: Any) -> LoadedRewriter:
        told = {"model": "small-1"} | settings
        card = tmp_path / "card.toml"
        card.write_text(
            f'name = "card"\ntitle = ""\nabout = ""\nmechanism = "{mechanism}"\n[prompts]\nsystem = "system.txt"\n'
            'translate = "translate.txt"\ncompose = "compose.txt"\n[settings]\n'
            + "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items())
        )
        return open_rewriter(str(card), Setup("full", family, seed, tmp_path, device="cpu"))

    return make


@pytest.fixture
def store(tmp_path: Path) -> Iterable[RewriteStore]:
    with RewriteStore(tmp_path / "rewrites.sqlite") as made:
        yield made


def write(loaded: LoadedRewriter, store: RewriteStore, out: Path, queries: Sequence[Query] = QUERIES) -> Path:
    """Export what is not answered, as `grapebench rewrite export` does; returns the manifest's path."""
    seed = loaded.rewriter.setup.seed  # type: ignore[attr-defined]
    questions, _ = unanswered(loaded, queries, store, seed)
    export(loaded, questions, out, suite="full", task="t", split="test", seed=seed)
    return manifest_path(out)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def said(key: str, text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """An answer as OpenAI writes it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text} | message, "finish_reason": finish}
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    body = {"id": "c", "object": "chat.completion", "model": "small-1", "choices": [choice], "usage": usage}
    return {
        "id": "b",
        "custom_id": key,
        "response": {"status_code": 200, "request_id": "r", "body": body},
        "error": None,
    }


def answer(path: Path, records: Iterable[dict[str, Any] | str]) -> Path:
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records), "utf-8")
    return path


def imported(manifest: Path, store: RewriteStore, *paths: Path) -> tuple[batch_answers.Read, batch_answers.Imported]:
    told = load_manifest(manifest)
    read = read_answers(paths, told)
    return read, put(read, told, store)


def test_requests_have_the_form_that_openai_takes(opened: Open, store: RewriteStore, tmp_path: Path) -> None:
    """The limits of the form are those of OpenAI's reference: a POST to the endpoint, a custom_id of 64 at most."""
    loaded = opened(max_new_tokens=9)
    manifest = load_manifest(write(loaded, store, tmp_path / "deep" / "b.jsonl"))
    found = lines(tmp_path / "deep" / "b.jsonl")
    assert [set(one) for one in found] == [{"custom_id", "method", "url", "body"}] * 6
    assert {(one["method"], one["url"]) for one in found} == {("POST", "/v1/chat/completions")}
    assert len({one["custom_id"] for one in found}) == 6 and all(len(one["custom_id"]) == 64 for one in found)
    assert found[2]["body"] == {
        "model": "small-1",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "From German: Wort 2"}],
        "max_completion_tokens": 9,
        "temperature": 0,
    }
    assert manifest.texts == {one["custom_id"]: query.text for one, query in zip(found, QUERIES, strict=True)}
    assert manifest.fingerprint == loaded.asked_as and manifest.model == "small-1"
    assert [(part.name, part.requests) for part in manifest.parts] == [("b.jsonl", 6)]


def test_a_local_model_is_asked_for_by_every_sampling_field(
    opened: Open, store: RewriteStore, tmp_path: Path, tiny_lm: Path
) -> None:
    loaded = opened("lm", model=str(tiny_lm), sample=True, temperature=0.5, top_p=0.9, samples=2, max_new_tokens=8)
    write(loaded, store, tmp_path / "b.jsonl", QUERIES[:1])
    first, second = (one["body"] for one in lines(tmp_path / "b.jsonl"))
    assert first["seed"] != second["seed"] and {**first, "seed": 0} == {**second, "seed": 0}
    assert (first["model"], first["max_tokens"], first["temperature"], first["top_p"]) == (str(tiny_lm), 8, 0.5, 0.9)
    assert (first["top_k"], first["min_p"], first["repetition_penalty"]) == (0, 0, 1)
    assert first["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize("sampled", [False, True])
def test_answers_read_back_are_those_of_a_run(
    opened: Open, store: RewriteStore, tmp_path: Path, tiny_lm: Path, sampled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is worked off by the model itself, request by request; then a run asks nothing and gets the same."""
    how = {"sample": True, "samples": 3} if sampled else {}
    loaded = opened("lm", model=str(tiny_lm), dtype="float32", max_new_tokens=10, **how)
    engine = loaded.rewriter.engine  # type: ignore[attr-defined]
    with RewriteStore(tmp_path / "live.sqlite") as live:
        wanted = all_answers(loaded, QUERIES, live, 0, loaded.samples)
    ids = [query.id + (f"#{n}" if n else "") for query in QUERIES for n in range(loaded.samples)]
    manifest = write(loaded, store, tmp_path / "b.jsonl")
    records = []
    for key, one in zip(ids, lines(tmp_path / "b.jsonl"), strict=True):
        # The id decides what is drawn here; a server goes by the seed in the request.
        (made,) = engine.answer([Request(key, tuple(one["body"]["messages"]), lambda length: None, 0)])
        record = said(one["custom_id"], made.raw, "length" if "cut output" in made.trace else "stop")
        record["response"]["body"]["usage"] = {
            "prompt_tokens": made.prompt_tokens,
            "completion_tokens": made.completion_tokens,
        }
        record["response"]["body"]["model"] = str(tiny_lm)
        records.append(record)
    _, result = imported(manifest, store, answer(tmp_path / "b.out.jsonl", records[::-1]))
    assert (result.read, result.new, result.missing) == (len(ids), len(ids), 0)
    monkeypatch.setattr(type(engine), "answer", Api.answer)  # which refuses
    assert all_answers(loaded, QUERIES, store, 0, loaded.samples) == wanted
    assert unanswered(loaded, QUERIES, store, 0) == ({}, 0)


def test_only_what_is_not_stored_is_asked_and_equal_texts_once(
    opened: Open, store: RewriteStore, tmp_path: Path
) -> None:
    loaded = opened()
    twins = [*QUERIES, Query("twin", "Wort 3", language="de")]
    questions, _ = unanswered(loaded, twins, store, 0)
    assert len(questions) == 6
    key = next(key for key, query in questions.items() if query.id == "q4")
    store.put(loaded.asked_as, {key: Rewrite("", ("word 4",), raw="word 4")})
    write(loaded, store, tmp_path / "b.jsonl", twins)
    assert len(lines(tmp_path / "b.jsonl")) == 5
    assert key not in load_manifest(tmp_path / "b.manifest.json").texts


def test_what_another_process_is_asking_for_is_left_out_and_counted(opened: Open, store: RewriteStore) -> None:
    loaded = opened()
    keys = list(unanswered(loaded, QUERIES, store, 0)[0])
    store.put(loaded.asked_as, {keys[0]: Rewrite("", ("word 0",), raw="word 0")})
    with Claims(store.path) as busy:
        assert busy.take(loaded.asked_as, keys[:3]) == keys[:3]
        found, claimed = unanswered(loaded, QUERIES, store, 0)
        assert (list(found), claimed) == (keys[3:], 2), "what is stored is not on its way any more"
    assert (len(unanswered(loaded, QUERIES, store, 0)[0]), unanswered(loaded, QUERIES, store, 0)[1]) == (5, 0)


def test_captions_and_images_are_in_the_requests(
    opened: Open, store: RewriteStore, tmp_path: Path, searcher: Searcher
) -> None:
    class Pictures(type(searcher.gallery.images)):  # type: ignore[misc]
        def read(self, image_id: str) -> bytes:
            return PNG + image_id.encode()

    gallery = Gallery(searcher.gallery.ids, Pictures())
    loaded = opened(family="compose", image=True)
    loaded.rewriter.attach(dataclasses.replace(searcher, gallery=gallery))  # type: ignore[attr-defined]
    queries = [Query("a", "in red", reference="i1", reference_caption="a house")]
    write(loaded, store, tmp_path / "b.jsonl", queries)
    (one,) = lines(tmp_path / "b.jsonl")
    image, text = one["body"]["messages"][1]["content"]
    assert text == {"type": "text", "text": "a house, but: in red"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    # What is shown is part of the question: another image under the same name is asked for anew.
    imported(tmp_path / "b.manifest.json", store, answer(tmp_path / "o", [said(one["custom_id"], "a red house")]))
    assert unanswered(loaded, queries, store, 0) == ({}, 0)
    loaded.rewriter.attach(searcher)  # type: ignore[attr-defined]
    monkey = [dataclasses.replace(queries[0], reference="i2")]
    assert unanswered(loaded, monkey, store, 0)[0]


def test_what_is_too_much_for_one_file_becomes_several(
    opened: Open, store: RewriteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = opened()
    write(loaded, store, tmp_path / "whole.jsonl")
    whole = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    monkeypatch.setattr(batch_files, "MOST_REQUESTS", 4)
    manifest = load_manifest(write(loaded, store, tmp_path / "b.jsonl"))
    assert [(part.name, part.requests) for part in manifest.parts] == [("b-1.jsonl", 4), ("b-2.jsonl", 2)]
    assert not (tmp_path / "b.jsonl").exists()
    assert b"".join((tmp_path / f"b-{n}.jsonl").read_bytes() for n in (1, 2)) == b"".join(whole)
    monkeypatch.setattr(batch_files, "MOST_BYTES", len(whole[0]) * 2)
    by_size = load_manifest(write(loaded, store, tmp_path / "c.jsonl"))
    assert [part.requests for part in by_size.parts] == [2, 2, 2]
    keys = list(manifest.texts)
    _, first = imported(find_manifest(tmp_path / "b-1.out.jsonl", None), store,
                        answer(tmp_path / "b-1.out.jsonl", [said(key, "word") for key in keys[:4]]))  # fmt: skip
    assert first.missing == 2
    _, second = imported(find_manifest(tmp_path / "b-2.out.jsonl", None), store,
                         answer(tmp_path / "b-2.out.jsonl", [said(key, "word") for key in keys[4:]]))  # fmt: skip
    assert second.missing == 0
    monkeypatch.setattr(batch_files, "MOST_BYTES", 10)
    with pytest.raises(UserError, match=r"one request takes \d+ bytes, and a batch file may have 10"):
        write(opened(max_new_tokens=3), store, tmp_path / "d.jsonl")
    assert not [*tmp_path.glob("d*"), *tmp_path.glob(".*.part")]


def test_an_answer_may_hold_concepts_and_rewrite(opened: Open, store: RewriteStore, tmp_path: Path) -> None:
    loaded = opened(answer="concepts")
    manifest = write(loaded, store, tmp_path / "b.jsonl", QUERIES[:3])
    keys = list(load_manifest(manifest).texts)
    told = ["Concepts: word\nRewrite: a word", "Concepts: None", "a word"]
    imported(manifest, store, answer(tmp_path / "b.out.jsonl", [said(*pair) for pair in zip(keys, told, strict=True)]))
    found = [some[0] for some in all_answers(loaded, QUERIES[:3], store, 0, 1)]
    assert [rewrite.texts for rewrite in found] == [("a word",), ("Wort 1",), ("a word",)]
    assert [rewrite.trace for rewrite in found] == [
        {"concepts": "word"},
        {"concepts": "None"},
        {"undetected": "missing"},
    ]


def test_answers_are_read_as_those_of_a_server(opened: Open, store: RewriteStore, tmp_path: Path) -> None:
    loaded = opened(price_in=2.0, price_out=10.0)
    manifest = write(loaded, store, tmp_path / "b.jsonl")
    keys = list(load_manifest(manifest).texts)
    records = [
        said(keys[0], "Caption: word 0"),
        said(keys[1], "I'm sorry, but no."),
        said(keys[2], None, refusal="I will not."),
        said(keys[3], "word three and", finish="length"),
        said(keys[4], "half a", finish="content_filter"),
        {"custom_id": keys[5], "response": {"status_code": 429, "body": {"error": {"message": "slow"}}}, "error": None},
    ]
    _, result = imported(manifest, store, answer(tmp_path / "b.out.jsonl", records))
    assert (result.read, result.new, result.missing, result.cut) == (5, 5, 1, {"output": 1})
    assert result.fallbacks == {"refusal": 2, "content filter": 1}
    assert result.failures == {"error 429": 1}
    assert (result.prompt_tokens, result.completion_tokens) == (55, 25)
    assert result.money == pytest.approx(5 * (11 * 2.0 + 5 * 10.0) / 1e6)
    with pytest.raises(UserError, match="1 requests were sent"):  # the sixth is asked again, the rest is stored
        all_answers(loaded, QUERIES, store, 0, 1)
    found = [some[0] for some in all_answers(loaded, QUERIES[:5], store, 0, 1)]
    assert [one.texts for one in found] == [("word 0",), ("Wort 1",), ("Wort 2",), ("word three and",), ("Wort 4",)]
    assert "cut output" in found[3].trace and found[2].raw == "I will not."


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"response": {"status_code": 400, "body": {"error": {"code": "content_filter"}}}, "error": None}, None),
        ({"response": {"status_code": 400, "body": {"error": {"message": "bad"}}}, "error": None}, "error 400"),
        ({"response": None, "error": {"code": "batch_expired", "message": "too late"}}, "batch expired"),
        # As `vllm run-batch` writes it, since 0.9 and since 0.11.
        ({"response": {"status_code": 404, "body": None}, "error": {"message": "no model", "code": 404}}, "error 404"),
        ({"response": {"status_code": 400, "body": None}, "error": {"error": {"code": 400}}}, "error 400"),
        ({"response": {"status_code": 200, "body": {}}, "error": None}, "no answer in the reply"),
        ({"response": {"status_code": 200, "body": {"choices": []}}, "error": None}, "no answer in the reply"),
        ({"response": None, "error": None}, "no answer in the reply"),
        ({"response": [1], "error": "what"}, "no answer in the reply"),
        ({}, "no answer in the reply"),
    ],
)
def test_why_a_request_failed(
    opened: Open, store: RewriteStore, tmp_path: Path, record: dict[str, Any], reason: str | None
) -> None:
    manifest = write(opened(), store, tmp_path / "b.jsonl", QUERIES[:1])
    (key,) = load_manifest(manifest).texts
    _, result = imported(manifest, store, answer(tmp_path / "o.jsonl", [{"custom_id": key} | record]))
    assert result.failures == ({reason: 1} if reason else {})
    assert result.missing == bool(reason)


def test_what_cannot_be_read_is_named_and_the_rest_is_stored(opened: Open, store: RewriteStore, tmp_path: Path) -> None:
    manifest = write(opened(), store, tmp_path / "b.jsonl")
    keys = list(load_manifest(manifest).texts)
    whole = json.dumps(said(keys[1], "word 1"))
    path = answer(
        tmp_path / "o.jsonl",
        [said(keys[0], "word 0"), "", "<html>502</html>", "[1, 2]", '{"custom_id": 7}', whole, whole[:90]],
    )
    path.write_bytes(path.read_bytes().rstrip(b"\n") + b"\xff")
    read, result = imported(manifest, store, path)
    assert [place.removeprefix(f"{path}:") for place in read.broken] == [
        "3: not an answer in JSON",
        "4: not an answer in JSON",
        "5: not an answer in JSON",
        "7: not an answer in JSON, cut off",
    ]
    assert (result.read, result.new, result.missing) == (2, 2, 4)


@pytest.mark.parametrize("twice", [True, False])
def test_answers_to_something_else_are_refused_whole(
    opened: Open, store: RewriteStore, tmp_path: Path, twice: bool
) -> None:
    manifest = write(opened(), store, tmp_path / "b.jsonl")
    keys = list(load_manifest(manifest).texts)
    last = said(keys[0] if twice else "f" * 64, "word")
    path = answer(tmp_path / "o.jsonl", [said(keys[0], "word 0"), last])
    why = r"is answered twice, first in .*o\.jsonl:1; nothing" if twice else r"is not in the export t · card, seed 0;"
    with pytest.raises(UserError, match=rf"o\.jsonl:2: custom_id .* {why}"):
        imported(manifest, store, path)
    assert len(unanswered(opened(), QUERIES, store, 0)[0]) == 6


def test_importing_twice_changes_nothing(opened: Open, store: RewriteStore, tmp_path: Path) -> None:
    loaded = opened()
    manifest = write(loaded, store, tmp_path / "b.jsonl")
    keys = list(load_manifest(manifest).texts)
    path = answer(tmp_path / "o.jsonl", [said(key, f"word {n}") for n, key in enumerate(keys)])
    assert imported(manifest, store, path)[1].new == 6
    before = store.lookup(loaded.asked_as, keys)
    assert imported(manifest, store, path)[1].new == 0
    other = answer(tmp_path / "p.jsonl", [said(key, "another") for key in keys])
    assert imported(manifest, store, other)[1].new == 0
    assert store.lookup(loaded.asked_as, keys) == before


def test_an_export_that_was_changed_or_replaced_is_refused(
    opened: Open, store: RewriteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write(opened(), store, tmp_path / "b.jsonl")
    for name in ("b.jsonl", "b.manifest.json"):
        with pytest.raises(UserError, match="there is an export already, and its answers may be on their way"):
            write(opened(max_new_tokens=7), store, tmp_path / "b.jsonl")
        (tmp_path / name).rename(tmp_path / f"{name}.kept")
    (tmp_path / "b.manifest.json.kept").rename(manifest)
    assert load_manifest(manifest)  # the requests are not needed any more
    (tmp_path / "b.jsonl").write_text(
        (tmp_path / "b.jsonl.kept").read_text().replace('"temperature": 0', '"temperature": 1')
    )
    with pytest.raises(UserError, match=r"b\.jsonl: changed since it was exported"):
        load_manifest(manifest)
    (tmp_path / "b.jsonl").unlink()
    monkeypatch.setattr(output, "VERSION", output.VERSION + 1)
    assert load_manifest(manifest)  # what was paid for is read by today's rules
    manifest.write_text("{}")
    with pytest.raises(UserError, match=r"b\.manifest\.json: not the manifest of an export"):
        load_manifest(manifest)


def test_where_the_manifest_is_looked_for(tmp_path: Path) -> None:
    manifest = tmp_path / "b.manifest.json"
    with pytest.raises(UserError, match=r"b\.manifest\.json: no manifest, .*; name the export: --export FILE\.jsonl"):
        find_manifest(tmp_path / "b.out.jsonl", None)
    manifest.write_text("{}")
    for name in ("b.out.jsonl", "b.jsonl", "b-3.out.jsonl"):
        assert find_manifest(tmp_path / name, None) == manifest
    elsewhere = tmp_path / "downloads" / "batch_123_output.jsonl"
    for named in (manifest, tmp_path / "b.jsonl", tmp_path / "b-1.jsonl"):
        assert find_manifest(elsewhere, named) == manifest
    with pytest.raises(UserError, match=r"c\.manifest\.json: no manifest"):
        find_manifest(elsewhere, tmp_path / "c.jsonl")


def test_what_cannot_be_exported(opened: Open, store: RewriteStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"b\.txt: the name of a batch file ends in \.jsonl; write --out b\.jsonl"):
        write(opened(), store, tmp_path / "b.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"b\.jsonl"):
        write(opened(), store, tmp_path / "file" / "b.jsonl")
    plain = open_rewriter("identity", Setup("full", "translate", 0, tmp_path))
    with pytest.raises(UserError, match="identity asks no chat model, so there is nothing to export"):
        unanswered(plain, QUERIES, store, 0)


def test_several_texts_of_one_answer(opened: Open, store: RewriteStore, tmp_path: Path) -> None:
    loaded = opened(answer="lines")
    manifest = write(loaded, store, tmp_path / "b.jsonl", QUERIES[:1])
    (key,) = load_manifest(manifest).texts
    imported(manifest, store, answer(tmp_path / "o.jsonl", [said(key, "1. a word\n2. another")]))
    (some,) = all_answers(loaded, QUERIES[:1], store, 0, 1)
    assert some[0].texts == ("a word", "another")


def test_a_mark_before_the_first_answer_is_passed_over(opened: Open, store: RewriteStore, tmp_path: Path) -> None:
    manifest = load_manifest(write(opened(), store, tmp_path / "ask.jsonl"))
    key = next(iter(manifest.texts))
    answers = answer(tmp_path / "ask.out.jsonl", [said(key, "a dog")])
    answers.write_bytes(b"\xef\xbb\xbf" + answers.read_bytes() + b"\r\n\n")
    found = read_answers([answers], manifest)
    assert found.rewrites[key].text == "a dog" and found.broken == ()
    answers.write_text(answers.read_text("utf-8-sig"), encoding="utf-16")
    with pytest.raises(UserError, match="is UTF-16, not UTF-8"):
        read_answers([answers], manifest)
