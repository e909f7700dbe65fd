"""The mechanism `api` against a real server: `transformers serve` with the miniature's language model, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from grapebench import catalog
from grapebench.datasets import load_task
from grapebench.records import Query, Rewrite
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.store import RewriteStore, rewrite_all

pytestmark = pytest.mark.slow
BASELINES = catalog.folder() / "baselines"
MODEL = BASELINES / "models" / "mini-lm"
PATIENCE = 300
"""Seconds for the server to import torch and load the model on a busy machine."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("uvicorn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    program = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    options = ["--dtype", "float32", "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as out:
        command = [sys.executable, "-c", program, "serve", str(MODEL), *options]
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text()}")


def write_card(folder: Path, url: str, max_new_tokens: int = 64) -> str:
    path = folder / "served.toml"
    prompts = [f'{name} = "{BASELINES / "prompts" / name}.txt"' for name in ("system", "translate")]
    head = ('name = "served"', 'title = "Served"', 'about = "…"', 'mechanism = "api"')
    own = (f'model = "{MODEL}"', f'base_url = "{url}"', f"max_new_tokens = {max_new_tokens}")
    path.write_text("\n".join([*head, "[prompts]", *prompts, "[settings]", *own]), encoding="utf-8")
    return str(path)


def queries() -> list[Query]:
    card = catalog.task_card("flickr30k-cn").card
    return list(load_task(card, "mini", "test").queries[:24])


def ask(spec: str, folder: Path) -> list[Rewrite]:
    loaded = open_rewriter(spec, Setup("mini", "translate", 0, folder, "cpu"))
    with RewriteStore(folder / "rewrites.sqlite") as store:
        return rewrite_all(loaded, queries(), store, 0)


def test_greedy_answers_are_those_of_the_local_model(url: str, tmp_path: Path) -> None:
    local = ask("llm", tmp_path)
    served = ask(write_card(tmp_path, url), tmp_path)
    assert [rewrite.raw for rewrite in served] == [rewrite.raw for rewrite in local]
    assert [rewrite.texts for rewrite in served] == [rewrite.texts for rewrite in local]
    assert [rewrite.prompt_tokens for rewrite in served] == [rewrite.prompt_tokens for rewrite in local]
    assert all(rewrite.fallback is None and rewrite.completion_tokens > 0 for rewrite in served)
    assert len({rewrite.text for rewrite in served}) > 12


def test_an_answer_cut_off_is_marked(url: str, tmp_path: Path) -> None:
    found = ask(write_card(tmp_path, url, max_new_tokens=3), tmp_path)
    assert {rewrite.completion_tokens for rewrite in found} == {3}
    assert all("cut output" in rewrite.trace for rewrite in found)
