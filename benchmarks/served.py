"""mini-lm behind a real server, `transformers serve` on loopback, and a card that asks it what `llm` asks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grapebench.catalog import folder

MODEL = folder() / "baselines" / "models" / "mini-lm"
PATIENCE = 300
"""Seconds for the server to import torch and load the model on a busy machine."""


@contextmanager
def server(log: Path) -> Iterator[str]:
    """Its address, up to '/v1', while it runs; what it says is written to `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    program = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    options = ["--dtype", "float32", "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "serve", str(MODEL), *options],
            stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
    try:
        _wait_for(f"{address}/health", process, log)
        yield f"{address}/v1"
    finally:
        process.terminate()
        process.wait(30)


def card(into: Path, url: str, max_new_tokens: int = 64) -> str:
    """The path of a card of the mechanism `api`, written to the folder `into`."""
    prompts = folder() / "baselines" / "prompts"
    names = ("system", "translate", "condense", "compose")
    lines = [
        'name = "llm-served"', 'title = "Prompted LLM behind a server"', 'about = "The questions of llm."',
        'mechanism = "api"', 'captioner = "bank"',
        "[prompts]", *(f"{name} = {json.dumps(str(prompts / f'{name}.txt'))}" for name in names),
        "[settings]", f"model = {json.dumps(str(MODEL))}", f'base_url = "{url}"', f"max_new_tokens = {max_new_tokens}",
    ]  # fmt: skip
    path = into / "llm-served.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')}")
