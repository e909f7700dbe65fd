"""What is asked, stored, checked and counted, whatever the captioner."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.records import Gallery, Rewrite
from grapebench.retrieval.store import EmbeddingStore
from grapebench.rewriters import claims
from grapebench.rewriters.captioners import LoadedCaptioner, Picture, open_captioner
from grapebench.rewriters.setup import Setup

from .conftest import ByColour, Pictures


class Namer:
    """Says the name of each picture that it was shown."""

    def __init__(self, answers: dict[str, Rewrite | None] | None = None) -> None:
        self.asked: list[str] = []
        self.answers = answers or {}

    def describe(self, pictures: Sequence[Picture]) -> Iterator[Rewrite]:
        for picture in pictures:
            self.asked.append(picture.id)
            told = Rewrite(
                picture.id, texts=(f" {picture.id} \n",), raw="x", prompt_tokens=3, completion_tokens=2, money=0.5
            )
            found = self.answers.get(picture.id, told)
            if found is not None:
                yield found


def loaded(mechanism: Any, seed: int | None = None, fingerprint: str = "f") -> LoadedCaptioner:
    return LoadedCaptioner("namer", mechanism, fingerprint, {}, seed=seed)


def ask(captioner: LoadedCaptioner, gallery: Gallery, wanted: Sequence[str] | None = None, **kwargs: Any) -> Any:
    return captioner.caption(gallery.ids if wanted is None else wanted, gallery, ByColour(), EmbeddingStore(), **kwargs)


@pytest.fixture(autouse=True)
def _home(setup: Setup) -> None:
    """Every test has a store of its own."""


def test_what_was_captioned_once_is_not_asked_again(photos: Gallery) -> None:
    first, reports = loaded(Namer()), []
    found = ask(first, photos, report=lambda *told: reports.append(told))
    assert found == {"red": "red", "wide": "wide", "blue": "blue", "red again": "red", "grey": "grey"}
    assert first.mechanism.asked == ["red", "wide", "blue", "grey"], "equal files are one picture"
    assert reports == [(0, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    seconds = first.cost.pop("seconds")
    assert first.cost == {"prompt_tokens": 12, "completion_tokens": 8, "money": 2.0, "images": 4}
    assert seconds > 0

    again, reports = loaded(Namer()), []
    assert ask(again, photos, report=lambda *told: reports.append(told)) == found
    assert (again.mechanism.asked, again.cost["images"], again.cost["money"], reports) == ([], 0, 0, [(5, 5)])


def test_another_task_shares_captions_and_another_captioner_does_not(photos: Gallery) -> None:
    ask(loaded(Namer()), photos)
    files = photos.images.files  # type: ignore[attr-defined]
    other = Gallery(("a", "b"), Pictures({"a": files["blue"], "b": b"a new one"}))
    same = loaded(Namer())
    assert ask(same, other) == {"a": "blue", "b": "b"}
    assert same.mechanism.asked == ["b"]
    different = loaded(Namer(), fingerprint="g")
    assert ask(different, other) == {"a": "a", "b": "b"}


def test_a_sampling_captioner_is_asked_for_each_seed(photos: Gallery) -> None:
    for seed, fresh in [(0, 4), (1, 4), (0, 0)]:
        captioner = loaded(Namer(), seed=seed)
        ask(captioner, photos)
        assert len(captioner.mechanism.asked) == fresh


def test_failures_are_counted_and_only_answers_are_stored(photos: Gallery, capsys: pytest.CaptureFixture[str]) -> None:
    captioner = loaded(
        Namer(
            {
                "red": Rewrite("red", texts=("",), fallback="timeout", prompt_tokens=7),
                "wide": Rewrite("wide", texts=("",), raw="I cannot help", fallback="refusal"),
                "blue": Rewrite("blue", texts=(" \n",)),
                "grey": None,
            }
        )
    )
    with pytest.raises(UserError, match=r"no caption for 5 of 5 reference images \(timeout: 2, refusal: 1, empty: 1"):
        ask(captioner, photos)
    assert captioner.cost["prompt_tokens"] == 7, "a failure may have its price"
    assert captioner.unanswered == {"timeout": 2, "missing": 1}, "equal images count each"

    again = loaded(Namer())
    assert ask(again, photos) == {"red": "red", "wide": "", "blue": "", "red again": "red", "grey": "grey"}
    assert again.mechanism.asked == ["red", "grey"], "its own word is kept, what never came is asked for again"
    assert again.failures == {"refusal": 1, "empty": 1}
    assert again.unanswered == {}
    assert "no caption for 2 of 5 reference images (refusal: 1, empty: 1)" in capsys.readouterr().err


class Paid(Namer):
    """One whose captions cost money."""

    paid = True
    lease = 30.0


def test_captions_that_cost_money_are_asked_for_by_one_process(
    photos: Gallery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(claims, "POLL", 0.02)
    under_way, first = threading.Event(), loaded(Paid())

    def slow(pictures: Sequence[Picture]) -> Iterator[Rewrite]:
        for answer in Namer.describe(first.mechanism, pictures):
            under_way.set()
            time.sleep(0.05)
            yield answer

    first.mechanism.describe = slow
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(ask, first, photos)
        assert under_way.wait(20)
        second = loaded(Paid())
        found = ask(second, photos)
        assert other.result() == found
    assert (first.mechanism.asked, second.mechanism.asked) == (["red", "wide", "blue", "grey"], [])
    assert (first.cost["money"], second.cost["money"]) == (2.0, 0)
    assert "waiting for 4 answers that another process is asking for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("a text", "captioner 'namer' gave a str; yield grapebench.records.Rewrite"),
        (Rewrite("nothing", texts=("x",)), "captioned an image twice or unasked: 'nothing'"),
        (Rewrite("red", texts=("x", "y")), r"image 'red': a caption is one text, not \('x', 'y'\)"),
    ],
)
def test_answers_that_do_not_fit(answer: Any, said: str, photos: Gallery) -> None:
    with pytest.raises(UserError, match=said):
        ask(loaded(Namer({"red": answer})), photos)


def test_an_error_in_a_users_file_names_its_line(setup: Setup, tmp_path: Path, photos: Gallery) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class Mine:\n    def caption(self, image_ids, gallery, retriever, store):\n        return 1 / 0\n")
    with pytest.raises(UserError, match=r"mine\.py:3: captioner 'Mine' failed: ZeroDivisionError"):
        ask(open_captioner(f"{path}:Mine", setup), photos)
    path.write_text(path.read_text().replace("1 / 0", "['red']"))
    with pytest.raises(UserError, match="captioner 'Mine' gave a list; give a dict"):
        ask(open_captioner(f"{path}:Mine", setup), photos)


def test_a_users_captioner_that_needs_the_retriever(setup: Setup, tmp_path: Path, photos: Gallery) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n"
        "    def caption(self, image_ids, gallery, retriever, store):\n"
        "        assert retriever.fingerprint == 'by-colour' and store is not None\n"
        "        return {image: image.upper() for image in image_ids if image != 'grey'}\n"
    )
    captioner = open_captioner("mine.py:Mine", setup)
    assert ask(captioner, photos, ["red", "grey", "red"]) == {"red": "RED", "grey": ""}
    assert captioner.failures == {"missing": 1}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import ByColour, Pictures
from grapebench.records import Gallery, Rewrite
from grapebench.rewriters.captioners import LoadedCaptioner

class Killed:
    def describe(self, pictures):
        for n, picture in enumerate(pictures):
            if n == 7:
                os.kill(os.getpid(), signal.SIGKILL)
            yield Rewrite(picture.id, (picture.id,))

gallery = Gallery(tuple(map(str, range(10))), Pictures({str(n): b"%d" % n for n in range(10)}))
LoadedCaptioner("killed", Killed(), "f", {}).caption(gallery.ids, gallery, ByColour(), None)
"""


def test_a_killed_process_loses_only_what_was_in_flight() -> None:
    folder = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", KILLED, folder], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    gallery = Gallery(tuple(map(str, range(10))), Pictures({str(n): b"%d" % n for n in range(10)}))
    rest = loaded(Namer())
    assert ask(rest, gallery) == {str(n): str(n) for n in range(10)}
    assert rest.mechanism.asked == ["7", "8", "9"]


def test_cards_and_their_errors(setup: Setup, tmp_path: Path) -> None:
    card = tmp_path / "mine.toml"
    text = 'name = "mine"\ntitle = "Mine"\nabout = "A test."\nmechanism = "mine.py:Mine"\n'
    (tmp_path / "mine.py").write_text(
        "class Mine:\n"
        "    def __init__(self, prompt, setup):\n"
        "        self.prompt = prompt\n"
        "    def describe(self, pictures):\n"
        "        return []\n"
    )
    (tmp_path / "ask.txt").write_text("What is it?\n")
    card.write_text(text + '[prompts]\nuser = "ask.txt"\n')
    found = open_captioner(str(card), setup)
    assert found.mechanism.prompt.messages == ({"role": "user", "content": "What is it?"},)
    assert {"mechanism", "card_sha256", "settings", "fingerprint"} <= set(found.description)
    before = found.fingerprint
    (tmp_path / "ask.txt").write_text("What is that?\n")
    assert open_captioner(str(card), setup).fingerprint != before

    for rest, said in [
        ('[prompts]\nuser = "gone.txt"\n', r"gone\.txt: cannot read the prompt: no such file"),
        ('[prompts]\ncompose = "ask.txt"\n', r"mine\.toml: prompts\.compose: unknown key; allowed are system, user"),
        ('[prompts]\nsystem = "ask.txt"\n', r"mine\.toml: prompts\.user is missing"),
        ("[settings]\nsize = 3\n", r"mine\.toml: settings\.size: this mechanism takes no settings"),
        ("[full]\nsize = 3\n", None),
    ]:
        card.write_text(text + rest)
        if said is None:
            open_captioner(str(card), setup)
            continue
        with pytest.raises(UserError, match=said):
            open_captioner(str(card), setup)
    card.write_text(text.replace("mine.py:Mine", "bank") + '[prompts]\nuser = "ask.txt"\n')
    with pytest.raises(UserError, match="captioner 'mine' takes no prompt; remove"):
        open_captioner(str(card), setup)
    with pytest.raises(UserError, match=r"'blip' is for the suite full, not mini"):
        open_captioner("blip", setup)
    with pytest.raises(UserError, match="unknown captioner 'banc'; did you mean 'bank'"):
        open_captioner("banc", setup)
    (tmp_path / "mine.py").write_text("class Mine: ...\n")
    card.write_text(text)
    with pytest.raises(UserError, match="Mine is no captioner; give a class with a method caption"):
        open_captioner(str(card), setup)


def test_the_fingerprint_of_a_class_that_says_nothing(setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class Mine:\n    def describe(self, pictures):\n        return []\n")
    before = open_captioner("mine.py:Mine", setup).fingerprint
    assert open_captioner("mine.py:Mine", dataclasses.replace(setup, seed=3)).fingerprint == before
    path.write_text(path.read_text() + "# changed\n")
    assert open_captioner("mine.py:Mine", setup).fingerprint != before


def test_captions_that_are_cut_refused_or_lost_are_counted_apart(
    photos: Gallery, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = photos.ids[:3]
    captioner = loaded(
        Namer(
            {
                first: Rewrite(first, texts=("a half",), raw="a half", trace={"cut output": "no end"}),
                second: Rewrite(second, raw="I cannot.", fallback="refusal"),
                third: None,
            }
        )
    )
    told = ask(captioner, photos)
    assert (told[first], told[second], told[third]) == ("a half", "", "")
    assert captioner.tallies == {
        "unanswered": {"missing": 1},
        "uncaptioned": {"refusal": 1, "missing": 1},
        "cut": {"output": 2},  # "red again" is the same picture as "red"
    }
    assert captioner.lost == {third}
    count = len(photos.ids)
    said = capsys.readouterr().err
    assert f"has no caption for 2 of {count} reference images (refusal: 1, missing: 1)" in said
    assert f"captioner 'namer' was cut off at 2 of {count} reference images (output: 2)" in said
    with pytest.raises(UserError, match=f"'namer' gave no answer for 1 of {count} reference images .*came is kept"):
        captioner.require_answers()
