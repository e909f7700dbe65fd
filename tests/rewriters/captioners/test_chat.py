"""A vision language model behind a server on loopback."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.records import Gallery
from grapebench.retrieval.store import EmbeddingStore
from grapebench.rewriters import output
from grapebench.rewriters.captioners import LoadedCaptioner, open_captioner
from grapebench.rewriters.setup import Setup
from tests.rewriters.engines import server as server_module
from tests.rewriters.engines.server import Server, completion

from .conftest import ByColour, Pictures

PROMPT = "Describe it."


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield made
        made.over.set()
        made.shutdown()


def opened(server: Server, setup: Setup, folder: Path, rest: str = "", prompt: str = PROMPT) -> LoadedCaptioner:
    (folder / "ask.txt").write_text(prompt)
    (folder / "system.txt").write_text("You see.")
    (folder / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nabout = "A test."\nmechanism = "api"\n'
        '[prompts]\nuser = "ask.txt"\nsystem = "system.txt"\n'
        f'[settings]\nmodel = "m"\nbase_url = "{server.url}"\nretries = 0\nconcurrency = 1\n'
        f"price_in = 1.0\nprice_out = 2.0\n{rest}"
    )
    return open_captioner("mine.toml", setup)


def ask(captioner: LoadedCaptioner, gallery: Gallery) -> dict[str, str]:
    return captioner.caption(gallery.ids, gallery, ByColour(), EmbeddingStore())


def test_each_image_is_shown_once_and_paid_once(server: Server, setup: Setup, photos: Gallery, tmp_path: Path) -> None:
    server.fail([PROMPT], "400")
    first = opened(server, setup, tmp_path)
    said = f"answer to {PROMPT}"
    assert ask(first, photos) == {"red": "", "wide": said, "blue": said, "red again": "", "grey": said}
    assert list(first.unanswered.values()) == [2], "the failed image has two names"
    assert {key: first.cost[key] for key in ("images", "prompt_tokens", "completion_tokens")} == {
        "images": 4,
        "prompt_tokens": 30,
        "completion_tokens": 15,
    }
    assert first.cost["money"] == pytest.approx(3 * (10 * 1 + 5 * 2) / 1e6)

    again = opened(server, setup, tmp_path)
    assert set(ask(again, photos).values()) == {said}
    assert (again.cost["images"], server.answered[PROMPT]) == (1, 4), "only the one that failed"
    shown = []
    for body in server.bodies:
        system, user = body["messages"]
        assert system == {"role": "system", "content": "You see."}
        picture, words = user["content"]
        assert words == {"type": "text", "text": PROMPT}
        shown.append(base64.b64decode(picture["image_url"]["url"].removeprefix("data:image/png;base64,")))
    files = photos.images.files  # type: ignore[attr-defined]
    assert shown == [files[image] for image in ("red", "wide", "blue", "grey", "red")]


def test_what_is_no_image_is_told_before_anything_is_paid(server: Server, setup: Setup, tmp_path: Path) -> None:
    gallery = Gallery(("bad",), Pictures({"bad": b"no image"}))
    with pytest.raises(UserError, match="image 'bad' cannot be decoded"):
        ask(opened(server, setup, tmp_path), gallery)
    assert server.bodies == []


def test_the_fingerprint_holds_model_and_prompt(server: Server, setup: Setup, tmp_path: Path) -> None:
    base = opened(server, setup, tmp_path)
    assert base.seed is None
    others = [
        opened(server, setup, tmp_path, prompt="What is it?"),
        opened(server, setup, tmp_path, "max_new_tokens = 9\n"),
        opened(server, setup, tmp_path, "sample = true\n"),
    ]
    assert len({one.fingerprint for one in [base, *others]}) == 4
    assert others[-1].seed == 0, "a sampled caption belongs to a seed"
    assert opened(server, setup, tmp_path, "timeout = 3.0\n").fingerprint == base.fingerprint
    assert base.description["prompt"]["user"] == PROMPT


def test_a_chat_model_without_a_prompt(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nabout = "A test."\nmechanism = "api"\n[settings]\nmodel = "m"\n'
    )
    with pytest.raises(UserError, match="has to be asked for a caption; name a file in the card: prompts.user"):
        open_captioner("mine.toml", setup)


def test_a_new_contract_reads_the_captions_that_were_paid_for(
    server: Server, setup: Setup, photos: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened(server, setup, tmp_path)
    said = ask(before, photos)
    monkeypatch.setattr(output, "VERSION", output.VERSION + 1)
    monkeypatch.setattr(output, "parse", lambda raw, instructions=(): (f"read anew: {raw}", None))
    after = opened(server, setup, tmp_path)
    assert after.fingerprint != before.fingerprint
    assert ask(after, photos) == {image: f"read anew: {text}" for image, text in said.items()}
    assert server.answered[PROMPT] == 4, "one for each picture"


def test_a_caption_that_repeats_the_question_is_none(
    server: Server, setup: Setup, photos: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "Describe the photograph in one short sentence."
    monkeypatch.setattr(server_module, "completion", lambda text, body: _said(completion(text, body), question))
    captioner = opened(server, setup, tmp_path, prompt=question)
    with pytest.raises(UserError, match=r"has no caption for 5 of 5 reference images \(echo: 5\)"):
        ask(captioner, photos)


def _said(reply: dict[str, Any], text: str) -> dict[str, Any]:
    reply["choices"][0]["message"]["content"] = text
    return reply
