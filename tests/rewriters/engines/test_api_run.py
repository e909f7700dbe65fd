"""Whole runs with a card of the mechanism `api`: the store, and the claims of several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.records import Query, Rewrite
from grapebench.rewriters import LoadedRewriter, open_rewriter, output
from grapebench.rewriters.engines import spending
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.store import RewriteStore, rewrite_all
from tests.rewriters.engines import server as server_module
from tests.rewriters.engines.server import Server, completion

KEY = "sk-very-secret-0123456789"
TEXTS = [f"text {number}" for number in range(16)]
QUERIES = [Query(f"q{number}", text) for number, text in enumerate(TEXTS)]
PROCESS = """
import sys
from pathlib import Path
from grapebench.records import Query
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.store import RewriteStore, rewrite_all

loaded = open_rewriter(sys.argv[1], Setup("mini", "translate", 0, Path("/")))
queries = [Query(f"q{number}", f"text {number}") for number in range(16)]
print("ready", flush=True)
sys.stdin.readline()
for rewrite in rewrite_all(loaded, queries, RewriteStore(Path(sys.argv[2])), 0):
    print(rewrite.text)
"""


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MY_KEY", KEY)
    yield
    spending.purse.cache_clear()


def write_card(folder: Path, server: Server, *settings: str) -> Path:
    path = folder / "served.toml"
    (folder / "prompt.txt").write_text("$query", encoding="utf-8")
    head = ('name = "served"', 'title = "Served"', 'about = "…"', 'mechanism = "api"')
    own = ('model = "m"', f'base_url = "{server.url}"', 'key_env = "MY_KEY"', "timeout = 20")
    lines = [*head, "[prompts]", 'translate = "prompt.txt"', "[settings]", *own, *settings]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def opened(folder: Path, server: Server, *settings: str) -> LoadedRewriter:
    return open_rewriter(str(write_card(folder, server, *settings)), Setup("mini", "translate", 0, folder))


def run(folder: Path, server: Server, *settings: str) -> list[Rewrite]:
    with RewriteStore(folder / "rewrites.sqlite") as store:
        return rewrite_all(opened(folder, server, *settings), QUERIES, store, 0)


def test_concepts_are_asked_for_first_within_one_budget(tmp_path: Path, server: Server) -> None:
    """Detections go on coming in while rewrites are asked for; both are paid from one purse, and each once."""
    prices = ("price_in = 1000", "price_out = 1000", "max_new_tokens = 5", "concurrency = 3")
    card = write_card(tmp_path, server, *prices)
    (tmp_path / "prompt.txt").write_text("$query with $concepts", encoding="utf-8")
    (tmp_path / "detect.txt").write_text("hard in $query", encoding="utf-8")
    card.write_text(card.read_text().replace("[prompts]", '[prompts]\ndetect = "detect.txt"'))
    server.fail([f"hard in {TEXTS[3]}", f"{TEXTS[5]} with answer to hard in {TEXTS[5]}"], "400")

    def rewritten() -> list[Rewrite]:
        with RewriteStore(tmp_path / "rewrites.sqlite") as store:
            return rewrite_all(open_rewriter(str(card), Setup("mini", "translate", 0, tmp_path)), QUERIES, store, 0)

    first = rewritten()
    assert [rewrite.query_id for rewrite in first if rewrite.fallback] == ["q3", "q5"]
    whole = rewritten()
    assert [rewrite.text for rewrite in whole] == [f"answer to {text} with answer to hard in {text}" for text in TEXTS]
    assert {rewrite.trace["concepts"] for rewrite in whole} == {f"answer to hard in {text}" for text in TEXTS}
    assert all((rewrite.prompt_tokens, rewrite.completion_tokens) == (20, 10) for rewrite in whole)
    again = {f"hard in {TEXTS[5]}"}  # its rewrite failed, so that both are asked again
    assert {text for text, count in server.answered.items() if count > 1} == again
    paid = spending.purse(server.url, "m", None).spent
    assert paid == pytest.approx(sum(server.answered.values()) * 15 * 1000 / 1e6)


def test_failures_lose_nothing_and_no_answer_is_paid_for_twice(tmp_path: Path, server: Server) -> None:
    faults = ["500", "drop", "half", "garbage", "400", '{200}{"choices": []}']
    for text, fault in zip(TEXTS, faults, strict=False):
        server.fail([text], fault)
    first = run(tmp_path, server, "retries = 0")
    assert [rewrite.fallback for rewrite in first[:6]] == [
        "error 500", "connection lost", "connection lost", "no JSON in the reply", "error 400",
        "no answer in the reply",
    ]  # fmt: skip
    assert [rewrite.texts for rewrite in first[:6]] == [(text,) for text in TEXTS[:6]]
    assert [rewrite.texts for rewrite in first[6:]] == [(f"answer to {text}",) for text in TEXTS[6:]]
    second = run(tmp_path, server, "retries = 0")
    assert [rewrite.texts for rewrite in second] == [(f"answer to {text}",) for text in TEXTS]
    assert run(tmp_path, server, "retries = 0", "concurrency = 2") == second
    assert server.answered == dict.fromkeys(TEXTS, 1)


def test_refusals_are_kept_and_counted(tmp_path: Path, server: Server) -> None:
    refusal = '{200}{"choices": [{"message": {"content": null, "refusal": "No."}, "finish_reason": "stop"}]}'
    server.fail(TEXTS[:1], refusal)
    server.fail(TEXTS[1:2], '{200}{"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}')
    for _ in range(2):
        found = run(tmp_path, server)
        assert [rewrite.fallback for rewrite in found[:3]] == ["refusal", "content filter", None]
        assert found[0].raw == "No." and found[0].texts == (TEXTS[0],)
    assert server.asked == dict.fromkeys(TEXTS, 1)


def test_several_samples_have_seeds_of_their_own(tmp_path: Path, server: Server) -> None:
    run(tmp_path, server, "sample = true", "samples = 3")
    assert Counter(server.asked.values()) == {3: 16}
    assert len({body["seed"] for body in server.bodies}) == 48


def test_the_budget_stops_a_run_that_goes_on(tmp_path: Path, server: Server) -> None:
    prices = ("price_in = 1000", "price_out = 1000")
    with pytest.raises(UserError, match=r"could pass the budget of 0\.2: 0\.\d+ spent, \d of 16 answers are there"):
        run(tmp_path, server, *prices, "budget = 0.2")
    paid = sum(server.answered.values())
    assert 0 < paid < 16 and paid * 0.015 <= 0.2
    found = run(tmp_path, server, *prices, "budget = 9")
    assert server.answered == dict.fromkeys(TEXTS, 1)
    assert sum(rewrite.money for rewrite in found) == pytest.approx(16 * 0.015)


def start(card: Path, store: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PROCESS, str(card), str(store)]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={**os.environ, "MY_KEY": KEY})


def test_two_processes_pay_once(tmp_path: Path, server: Server) -> None:
    server.delay = 0.1
    card = write_card(tmp_path, server, "concurrency = 2")
    both = [start(card, tmp_path / "rewrites.sqlite") for _ in range(2)]
    for process in both:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [out.splitlines() for out, _ in said] == [[f"answer to {text}" for text in TEXTS]] * 2
    assert server.answered == dict.fromkeys(TEXTS, 1)
    assert "".join(err for _, err in said).count("another process is asking for") == 1


def test_a_killed_process_loses_at_most_what_was_under_way(tmp_path: Path, server: Server) -> None:
    server.delay = 0.1
    process = start(write_card(tmp_path, server, "concurrency = 2"), tmp_path / "rewrites.sqlite")
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    while sum(server.answered.values()) < 7:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    server.delay = 0
    found = run(tmp_path, server, "concurrency = 2")
    assert [rewrite.text for rewrite in found] == [f"answer to {text}" for text in TEXTS]
    # Two under way at the server, and two more whose answers may just have arrived.
    assert sum(server.answered.values()) <= len(TEXTS) + 4


def test_what_is_opened_says_what_it_asks(tmp_path: Path, server: Server) -> None:
    loaded = opened(tmp_path, server, "price_in = 1.5", "price_out = 2", "max_new_tokens = 9")
    assert loaded.description["model"] == {"name": "m", "server": server.url}
    assert loaded.description["prices"] == {"per_million": True, "price_in": 1.5, "price_out": 2}
    assert loaded.description["generation"]["max_new_tokens"] == 9
    cheaper = opened(tmp_path, server, "price_in = 0.5", "price_out = 2", "max_new_tokens = 9", "concurrency = 3")
    assert cheaper.fingerprint == loaded.fingerprint != opened(tmp_path, server).fingerprint


@pytest.mark.parametrize(("form", "more"), [("json", ()), ("json-lines", ("another",))])
def test_answers_are_held_to_a_schema(tmp_path: Path, server: Server, form: str, more: tuple[str, ...]) -> None:
    found = run(tmp_path, server, f'answer = "{form}"')
    assert [rewrite.texts for rewrite in found] == [(f"answer to {text}", *more) for text in TEXTS]
    schemas = [body["response_format"] for body in server.bodies]
    assert all(one["type"] == "json_schema" and one["json_schema"]["strict"] for one in schemas)
    assert run(tmp_path, server, f'answer = "{form}"') == found and len(server.bodies) == len(TEXTS)


def test_concepts_are_asked_for_without_the_schema_of_a_rewrite(tmp_path: Path, server: Server) -> None:
    card = write_card(tmp_path, server, 'answer = "json"')
    (tmp_path / "detect.txt").write_text("concepts of $query")
    (tmp_path / "prompt.txt").write_text("$query with $concepts")
    card.write_text(card.read_text().replace("[prompts]", '[prompts]\ndetect = "detect.txt"'))
    loaded = open_rewriter(str(card), Setup("mini", "translate", 0, tmp_path))
    with RewriteStore(tmp_path / "s.sqlite") as store:
        (found,) = rewrite_all(loaded, QUERIES[:1], store, 0)
    assert found.texts == ("answer to text 0 with answer to concepts of text 0",)
    assert ["response_format" in body for body in server.bodies] == [False, True]


def test_a_server_that_keeps_to_no_schema_is_counted(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "completion", lambda text, body: completion(text, {"model": body["model"]}))
    found = run(tmp_path, server, 'answer = "json"')
    assert {rewrite.fallback for rewrite in found} == {"not json"}
    assert [rewrite.texts for rewrite in found] == [(text,) for text in TEXTS]


def test_a_new_contract_reads_what_was_paid_for(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked again, and each answer comes out as it would if it were asked today."""
    monkeypatch.setattr(output, "VERSION", 1)
    monkeypatch.setattr(output, "parse", lambda raw, instructions=(): ("", "no words"))
    before = opened(tmp_path, server)
    assert {rewrite.fallback for rewrite in run(tmp_path, server)} == {"no words"}
    monkeypatch.undo()
    monkeypatch.setenv("MY_KEY", KEY)
    after = opened(tmp_path, server)
    assert after.asked_as == before.asked_as and after.fingerprint != before.fingerprint
    found = run(tmp_path, server)
    assert len(server.bodies) == len(TEXTS), "nothing is asked again"
    with RewriteStore(tmp_path / "fresh.sqlite") as store:
        assert rewrite_all(after, QUERIES, store, 0) == found
    assert all(rewrite.fallback is None and rewrite.prompt_tokens == 10 for rewrite in found)
