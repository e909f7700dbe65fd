"""What a model is shown when it learns is what it is asked when it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.rewriters import concepts
from grapebench.rewriters.prompted import Local
from grapebench.training import policy
from grapebench.training.raqo.examples import Examples, ending, examples, query_of

ROW = {"query_id": "q", "query": "XYZ", "language": "de", "caption": "", "concepts": ["xy", "z"]}
QRE = ROW | {"rewrite": "x y z"}
PRO = ROW | {"rewrites": ["best", "good", "bad"], "rewards": [0.5, 0.4, 0.1]}
Shown = Callable[..., tuple[Examples, Local, Any]]


@pytest.fixture
def shown(configured: Callable[..., Any]) -> Shown:
    def make(stage: Any, rows: list[dict[str, Any]], card: str = "twice.toml", candidates: int = 5) -> Any:
        _, material = configured(rewriter=card, stages=["qre"])
        rewriter: Any = policy.local(material.rewriter)
        chat = policy.load(rewriter.engine.model.folder, "float32")
        return examples(stage, rows, rewriter, chat, candidates), rewriter, chat

    return make


def said(chat: Any, tokens: list[int]) -> str:
    """The text of an answer that ends."""
    assert tokens[-1] == ending(chat) and tokens[-1] in chat.ends
    return str(chat.decode(tokens[:-1]))


def test_asked_twice(shown: Shown) -> None:
    found, rewriter, chat = shown("ccd", [ROW, ROW | {"concepts": []}])
    (detection,) = rewriter.detect_requests([query_of(ROW)])
    assert [one.prompt for one in found.used] == chat.tokenise([chat.render(detection.messages)] * 2)
    assert [said(chat, one.answers[0]) for one in found.used] == ["xy; z", "None"]
    assert [concepts.read(said(chat, one.answers[0]))[0] for one in found.used] == [("xy", "z"), ()]

    found, rewriter, chat = shown("qre", [QRE, QRE | {"concepts": ["other"]}])
    for one, told in zip(found.used, ("xy; z", "other"), strict=True):
        (request,) = rewriter.requests([query_of(QRE)], {"q": told})
        assert [one.prompt] == chat.tokenise([chat.render(request.messages)])
        assert [said(chat, answer) for answer in one.answers] == ["x y z"]

    found, rewriter, chat = shown("pro", [PRO], candidates=2)
    assert [said(chat, answer) for answer in found.used[0].answers] == ["best", "good"]
    assert found.used[0].rewards == [0.5, 0.4]


def test_asked_once(shown: Shown) -> None:
    found, rewriter, chat = shown("ccd", [ROW, ROW | {"concepts": []}], "once.toml")
    (request,) = rewriter.requests([query_of(ROW)])
    prompt = chat.render(request.messages)
    assert [one.prompt for one in found.used] == chat.tokenise([prompt] * 2)
    # The rewrite is to follow: nothing ends here.
    assert chat.decode(found.used[0].answers[0]) == "Concepts: xy; z\n"
    assert found.used[0].answers[0][-1] not in chat.ends
    assert said(chat, found.used[1].answers[0]) == "Concepts: None"

    found, _, chat = shown("qre", [QRE, QRE | {"concepts": []}], "once.toml")
    assert said(chat, found.used[0].answers[0]) == concepts.write_both(("xy", "z"), "x y z")
    assert len(found.used) == 1 and found.left_out == {"no concepts": 1}

    found, _, chat = shown("pro", [PRO, PRO | {"concepts": []}], "once.toml")
    (one,) = found.used
    whole = [chat.decode(one.prompt) + said(chat, answer) for answer in one.answers]
    plain = chat.decode(chat.tokenise([prompt])[0])
    assert whole == [plain + concepts.write_both(("xy", "z"), text) for text in PRO["rewrites"]]  # type: ignore[union-attr]
    assert found.left_out == {"no concepts": 1}


def test_never_asked(shown: Shown) -> None:
    found, rewriter, chat = shown("qre", [QRE], "plain.toml")
    (request,) = rewriter.requests([query_of(QRE)])
    assert [one.prompt for one in found.used] == chat.tokenise([chat.render(request.messages)])
    assert said(chat, found.used[0].answers[0]) == "x y z"


def test_what_cannot_be_used_is_counted(shown: Shown) -> None:
    long = "x" * 41  # tokens are bytes, and an answer has 40
    found, _, _ = shown("qre", [QRE | {"rewrite": long}, QRE])
    assert len(found.used) == 1 and found.left_out == {"longer than max_new_tokens": 1}
    lists = [
        PRO | {"rewrites": ["one"], "rewards": [0.2]},
        PRO | {"rewrites": [long, "b", "c"], "rewards": [0.3, 0.2, 0.1]},
        PRO | {"rewrites": [long, "b"], "rewards": [0.3, 0.2]},
    ]
    found, _, chat = shown("pro", lists)
    assert [[said(chat, answer) for answer in one.answers] for one in found.used] == [["b", "c"]]
    assert found.used[0].rewards == [0.2, 0.1]
    assert found.left_out == {"a single rewrite": 1, "longer than max_new_tokens": 1}


def test_lists_are_put_in_order(shown: Shown) -> None:
    found, _, chat = shown("pro", [PRO | {"rewrites": ["a", "b", "c"], "rewards": [0.1, 0.5, 0.3]}])
    assert [said(chat, answer) for answer in found.used[0].answers] == ["b", "c", "a"]
    assert found.used[0].rewards == [0.5, 0.3, 0.1]


def test_reference_images_in_words(recot: Path) -> None:
    assert query_of(ROW).reference_caption is None
    assert query_of(ROW | {"caption": "a dog"}).reference_caption == "a dog"
