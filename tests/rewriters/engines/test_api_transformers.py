"""The mechanism `api` against a real server: `transformers serve` with the miniature's language model, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import served

from grapebench import catalog
from grapebench.datasets import load_task
from grapebench.records import Query, Rewrite
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.store import RewriteStore, rewrite_all

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("uvicorn")
    with served.server(tmp_path_factory.mktemp("serve") / "log.txt") as address:
        yield address


def queries() -> list[Query]:
    card = catalog.task_card("flickr30k-cn").card
    return list(load_task(card, "mini", "test").queries[:24])


def ask(spec: str, folder: Path) -> list[Rewrite]:
    loaded = open_rewriter(spec, Setup("mini", "translate", 0, folder, "cpu"))
    with RewriteStore(folder / "rewrites.sqlite") as store:
        return rewrite_all(loaded, queries(), store, 0)


def test_greedy_answers_are_those_of_the_local_model(url: str, tmp_path: Path) -> None:
    local = ask("llm", tmp_path)
    remote = ask(served.card(tmp_path, url), tmp_path)
    assert [rewrite.raw for rewrite in remote] == [rewrite.raw for rewrite in local]
    assert [rewrite.texts for rewrite in remote] == [rewrite.texts for rewrite in local]
    assert [rewrite.prompt_tokens for rewrite in remote] == [rewrite.prompt_tokens for rewrite in local]
    assert all(rewrite.fallback is None and rewrite.completion_tokens > 0 for rewrite in remote)
    assert len({rewrite.text for rewrite in remote}) > 12


def test_an_answer_cut_off_is_marked(url: str, tmp_path: Path) -> None:
    found = ask(served.card(tmp_path, url, max_new_tokens=3), tmp_path)
    assert {rewrite.completion_tokens for rewrite in found} == {3}
    assert all("cut output" in rewrite.trace for rewrite in found)
