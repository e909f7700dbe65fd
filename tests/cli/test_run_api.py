"""`grapebench run` with a model behind a server: nothing that is written or said holds the key."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from grapebench.cli.main import main
from tests.rewriters.engines.server import running

KEY = "sk-very-secret-0123456789"
CARD = """
name = "served"
title = "Served"
about = "A model behind a server."
mechanism = "api"

[prompts]
translate = "prompt.txt"

[settings]
model = "m"
base_url = "{url}"
key_env = "MY_KEY"
retries = 0
concurrency = 1
price_in = 2
price_out = 8
"""


def all_bytes(folder: Path) -> bytes:
    """What all files hold, unpacked where they are packed."""
    found = []
    for path in folder.rglob("*"):
        if path.suffix == ".gz":
            found.append(gzip.decompress(path.read_bytes()))
        elif path.suffix == ".parquet":
            found.append(str(pq.read_table(path).to_pydict()).encode())
        elif path.is_file():
            found.append(path.read_bytes())
    return b"\n".join(found)


def test_the_key_is_nowhere(
    place: Path,
    arguments: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in the store, a result, what is printed or an error, though the server repeats it in all of its messages."""
    monkeypatch.setenv("MY_KEY", KEY)
    (place / "prompt.txt").write_text("$query", encoding="utf-8")
    with running() as server:
        (place / "served.toml").write_text(CARD.format(url=server.url), encoding="utf-8")
        command = [*arguments(), "--rewriter", "served.toml", "--json"]
        server.always = "400"
        assert main(command) == 2
        refused = capfd.readouterr()
        server.always = None
        server.fail(["xred xa", "xred xb"], "500")
        assert main(command) == 1
        partly = capfd.readouterr()
        assert main(command) == 0
        whole = capfd.readouterr()
    assert "failed 5 requests in a row, the last with: error 400 (400, said to Bearer ***)" in refused.err
    assert server.keys == {f"Bearer {KEY}"}
    written = all_bytes(place)
    assert written.count(b"answer to xred xb") >= 2, "in the store and in the result"
    assert KEY.encode() not in written
    assert not any(KEY in text for said in (refused, partly, whole) for text in said)
