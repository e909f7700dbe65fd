"""Batch files from the command line, on the made-up benchmark of `conftest.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.cli.main import main
from grapebench.datasets.seen import image_hash
from grapebench.rewriters.batch_files import load_manifest
from grapebench.rewriters.claims import Claims
from grapebench.rewriters.store import RewriteStore

CARD = """
name = "small"
title = "A small model"
about = "A server that is not there."
mechanism = "api"
[prompts]
translate = "translate.txt"
[settings]
model = "small-1"
base_url = "http://127.0.0.1:9/v1"
retries = 0
"""
EXPORT = ["rewrite", "export", "--task", "words.toml", "--suite", "full", "--data", "data", "--rewriter", "small.toml"]
EXPORT += ["--retriever", "retriever.py:Words", "--out", "b.jsonl"]


@pytest.fixture
def card(place: Path) -> Path:
    (place / "small.toml").write_text(CARD)
    (place / "translate.txt").write_text("Take the x away: $query")
    return place


def answers(requests: Path, out: Path, leave_out: int = 0) -> None:
    """What a model says that does as it is told."""
    made = []
    for line in requests.read_text().splitlines()[leave_out:]:
        request: dict[str, Any] = json.loads(line)
        said = request["body"]["messages"][-1]["content"].removeprefix("Take the x away: ").replace("x", "")
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 2}
        body = {"model": "small-1", "choices": [choice], "usage": usage}
        made.append({"custom_id": request["custom_id"], "response": {"status_code": 200, "body": body}, "error": None})
    out.write_text("".join(json.dumps(one) + "\n" for one in made))


def test_a_run_after_an_import_asks_nothing(
    card: Path, arguments: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(EXPORT) == 0
    assert capsys.readouterr().out == "b.jsonl: 24 requests for the model small-1\n"
    answers(card / "b.jsonl", card / "b.out.jsonl", leave_out=4)
    assert main(["rewrite", "import", "b.out.jsonl"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "words · small, seed 0: 20 answers read, 20 of them new",
        "tokens: 200 of prompts, 40 of answers",
        "still without an answer: 4 of 24",
    ]
    assert main([*EXPORT[:-1], "rest.jsonl"]) == 0
    assert capsys.readouterr().out == "rest.jsonl: 4 requests for the model small-1\n"
    answers(card / "rest.jsonl", card / "downloaded.jsonl")
    assert main(["rewrite", "import", "downloaded.jsonl", "--export", "rest.jsonl"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "all 4 stored"
    command = arguments("--json")
    command[command.index("--rewriter") + 1] = "small.toml"
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["R@1"] == 1
    (path,) = (card / "home").rglob("result.json")
    cost = json.loads(path.read_text())["cost"]
    assert cost["prompt_tokens"] == 240 and cost["rewritten"] == 0
    assert main([*EXPORT[:-1], "none.jsonl"]) == 0
    assert capsys.readouterr().out == "words · small: every answer is stored already, nothing to export\n"
    assert not (card / "none.jsonl").exists()


def test_images_that_the_rewriter_has_seen_are_refused_as_in_a_run(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"task": "words", "suite": "full", "split": "train", "queries": 9, "images": 1}
    seen = {"schema_version": 1, "sources": [source], "images": [image_hash("full", "words", "i03")]}
    (card / "trained.json").write_text(json.dumps(seen))
    (card / "small.toml").write_text(CARD.replace("[prompts]", 'trained_on = "trained.json"\n[prompts]'))
    assert main(EXPORT) == 2
    assert "small has seen words train, which holds 1 of the 24 images" in capsys.readouterr().err
    assert not (card / "b.jsonl").exists()
    assert main([*EXPORT, "--allow-seen"]) == 0
    assert capsys.readouterr().out == "b.jsonl: 24 requests for the model small-1\n"


def test_what_a_running_process_is_asking_for_is_not_exported(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(EXPORT) == 0
    manifest = load_manifest(card / "b.manifest.json")
    capsys.readouterr()
    with RewriteStore() as store, Claims(store.path) as busy:
        busy.take(manifest.fingerprint, list(manifest.texts)[:20])
        assert main([*EXPORT[:-1], "rest.jsonl"]) == 0
        out, err = capsys.readouterr()
        assert out == "rest.jsonl: 4 requests for the model small-1\n"
        assert "words · small: another process is asking for 20 answers, which are left out" in err
        busy.take(manifest.fingerprint, list(manifest.texts))
        assert main([*EXPORT[:-1], "none.jsonl"]) == 0
        assert "words · small: every answer is stored or on its way, nothing to export" in capsys.readouterr().out


def test_a_broken_line_is_named_on_standard_error(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*EXPORT, "--limit", "2"]) == 0
    answers(card / "b.jsonl", card / "b.out.jsonl")
    whole = (card / "b.out.jsonl").read_bytes()
    (card / "b.out.jsonl").write_bytes(whole[:-30])
    assert main(["rewrite", "import", "b.out.jsonl"]) == 1
    told = capsys.readouterr()
    assert "warning: b.out.jsonl:2: not an answer in JSON, cut off; left out" in told.err
    assert "still without an answer: 1 of 2" in told.out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["rewrite", "import", "nothing.jsonl"], "nothing.jsonl: no such file"),
        (["rewrite", "import", "small.toml"], "no manifest, so nobody knows what was asked"),
        ([*EXPORT[:-1], "b.csv"], "the name of a batch file ends in .jsonl"),
        ([*EXPORT, "--rewriter", "rewriters.py:Raw"], "raw asks no chat model, so there is nothing to export"),
        ([*EXPORT, "--suite", "midi"], "unknown suite 'midi'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    card: Path, command: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 2
    told = capsys.readouterr()
    assert not told.out and told.err.startswith("error: ") and said in told.err and told.err.count("\n") == 1
    assert not list(card.glob("*.manifest.json"))


def test_answers_to_several_exports_are_imported_apart(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, limit in (("a", "1"), ("b", "2")):
        assert main([*EXPORT[:-1], f"{name}.jsonl", "--limit", limit]) == 0
        answers(card / f"{name}.jsonl", card / f"{name}.out.jsonl")
    assert main(["rewrite", "import", "a.out.jsonl", "b.out.jsonl"]) == 2
    assert "belong to several exports; import those of one export at a time" in capsys.readouterr().err
