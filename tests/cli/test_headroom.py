from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from grapebench.cli.headroom import _is_greedy
from grapebench.cli.main import main
from grapebench.evaluation.headroom import open_sampling
from grapebench.rewriters.setup import Setup

SAMPLER = """
import hashlib

from grapebench.records import Rewrite


class Sampler:
    fingerprint = "sampler"

    def rewrite(self, queries):
        for q in queries:
            words = q.text.replace("x", "")
            right = hashlib.sha256(q.id.encode()).digest()[0] < 100
            yield Rewrite(q.id, texts=(words if right else words.split()[0] + " z",), raw="x")
"""


@pytest.fixture
def asked(place: Path) -> list[str]:
    (place / "sampler.py").write_text(SAMPLER)
    return [
        "headroom", "--task", "words.toml", "--suite", "full", "--data", "data", "--retriever", "retriever.py:Words",
        "--rewriter", "sampler.py:Sampler",
    ]  # fmt: skip


def test_more_answers_find_more(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*asked, "-k", "2,8,4", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["oracle"] is True and found["greedy_card"] is False
    assert (found["rewriter"], found["samples"], found["queries"]) == ("sampler", 8, 24)
    values = [point["figures"]["R@1"] for point in found["points"]]
    assert [point["k"] for point in found["points"]] == [1, 2, 4, 8]
    assert values == sorted(values) and found["raw"]["R@1"] < values[0] < 0.6 < 0.9 < values[-1]
    assert main([*asked, "-k", "2", "--limit", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queries"] == 5


def test_protocol_and_languages_are_those_of_a_run(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*asked, "-k", "2", "--protocol", "multilingual", "--languages", "de", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["protocol"], found["queries"]) == ("multilingual", 12)
    assert main([*asked, "--protocol", "graded"]) == 2
    assert "graded" in capsys.readouterr().err


def test_that_a_greedy_card_is_sampled_is_said(tmp_path: Path) -> None:
    setup = Setup("mini", "translate", 0, tmp_path)
    assert _is_greedy(open_sampling("llm", setup)) and not _is_greedy(open_sampling("best-of-8", setup))


def test_what_a_person_sees(asked: list[str], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*asked, "-k", "1,2,4", "--plot", "found.png"]) == 0
    out = capsys.readouterr().out
    text = " ".join(out.split())
    assert "Headroom, an oracle: words · suite full · split test · protocol retrieval · sampler · seed 0" in text
    assert "raw query" in text and "1 (the mean)" in text and "chosen by the labels" in text
    assert "24 queries, 4 answers each" in text
    assert max(map(len, out.splitlines())) <= 80
    from PIL import Image

    with Image.open(place / "found.png") as picture:
        assert picture.format == "PNG" and picture.width > 600


def test_images_that_were_seen_are_refused_or_told(
    asked: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from grapebench.datasets.seen import image_hash

    source = {"task": "words", "suite": "full", "split": "train", "queries": 9, "images": 1}
    trained = {"schema_version": 1, "sources": [source], "images": [image_hash("full", "words", "i03")]}
    (place / "trained.json").write_text(json.dumps(trained))
    (place / "trained.toml").write_text(
        'name = "trained"\ntitle = "Trained"\nabout = "."\nmechanism = "sampler.py:Sampler"\n'
        'trained_on = "trained.json"\n'
    )
    asked[asked.index("--rewriter") + 1] = "trained.toml"
    assert main([*asked, "-k", "2"]) == 2
    assert "trained has seen words train, which holds 1 of the 24 images" in capsys.readouterr().err
    assert main([*asked, "-k", "2", "--allow-seen", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["seen"] == {"images": 1, "gallery": 24, "sources": ["words train"]} and told["contaminated"] is True
    assert main([*asked, "-k", "2", "--allow-seen"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "seed 0 · † contaminated" in text
    assert "† contaminated: trained had seen 1 of the 24 images (words train)." in text
    asked[asked.index("--rewriter") + 1] = "sampler.py:Sampler"
    assert main([*asked, "-k", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["contaminated"] is False


def test_bad_input(
    asked: list[str], place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for more, said in (
        (["-k", "1,x"], "-k '1,x': not whole numbers above 0"),
        (["-k", "0,2"], "-k '0,2': not whole numbers above 0"),
        (["--suite", "fall"], "unknown suite 'fall'"),
        (["--split", "hidden"], "the labels of words hidden are not public"),
        (["--plot", "found.jpegg"], "found.jpegg: a picture's name ends in its format; such as found.png"),
        (["--plot", "none/found.png"], "none: no such folder"),
        (["--rewriter", "rewriters.py:Raw"], "raw gives every query the same answer each time"),
    ):
        assert main([*asked, *more]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert main([*asked, "--plot", "found.png"]) == 2
    assert "matplotlib is not installed; install it with: pip install 'grapebench[plots]'" in capsys.readouterr().err


def test_answers_that_never_came_end_with_1_and_cuts_are_counted(
    asked: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "sampler.py").write_text(
        SAMPLER.replace('raw="x")', "raw=\"x\", trace={'cut output': 'no end'}) if q.id != 'q-i02' else None").replace(
            "yield Rewrite", "answer = Rewrite"
        )
        + "            if answer is not None:\n                yield answer\n"
    )
    assert main([*asked, "-k", "2", "--json"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["unanswered"] == found["fallbacks"] == {"missing": 1}
    assert found["cut"] == {"output": 47} and found["uncaptioned"] == {}
    assert "warning: 1 answers never came (missing 1)" in err
    assert main([*asked, "-k", "2"]) == 1
    assert "Cut off: output 47." in " ".join(capsys.readouterr().out.split())
