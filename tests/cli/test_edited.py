"""What is edited between two runs gives another result, whatever kind of mechanism it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grapebench.cli.main import main
from grapebench.evaluation import runner
from grapebench.leaderboard import store
from grapebench.leaderboard.results import Result
from grapebench.rewriters.captioners import open_captioner
from grapebench.rewriters.setup import Setup

Arguments = Callable[..., list[str]]

NO_WORD = """
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))


class Words:
    def encode_images(self, images, names):
        return np.stack([vector(image.decode()) for image in images])

    def encode_texts(self, texts):
        return np.stack([vector(text) for text in texts])


def vector(text):
    rows = [np.random.default_rng(list(word.encode())).normal(size=16) for word in text.split()]
    total = np.sum(rows, axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)
"""
SAYS = """
class Says:
    def describe(self, pictures):
        from grapebench.records import Rewrite
        for picture in pictures:
            yield Rewrite(picture.id, texts=("a fish",))
"""
BANK = """
from grapebench.rewriters.captioners.bank import Bank


class Mine(Bank):
    def caption(self, image_ids, gallery, retriever, store):
        return {image: "a fish" for image in image_ids}
"""
REPEAT = """
from grapebench.records import Rewrite


class Repeat:
    def rewrite(self, queries):
        for query in queries:
            yield Rewrite(query.id, texts=(query.reference_caption or "nothing",))
"""
SHORT = """
from grapebench.records import Rewrite
from grapebench.rewriters.truncate import Truncate


class Short(Truncate):
    def rewrite(self, queries):
        for query in queries:
            yield Rewrite(query.id, texts=("red",))
"""


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def found(folder: Path) -> list[Result]:
    results, broken = store.find([folder])
    assert not broken
    return [one.result for one in results]


def figures(result: Result) -> tuple[float, ...]:
    return tuple(result.metrics.values())


def two(place: Path) -> tuple[Result, Result]:
    """The earlier result and the later one."""
    results, broken = store.find([place / "out"])
    assert not broken and len(results) == 2, "an edited mechanism is another result"
    first, second = sorted(results, key=lambda one: (one.folder / "result.json").stat().st_mtime_ns)
    return first.result, second.result


def test_a_retriever_without_a_fingerprint(place: Path, arguments: Arguments) -> None:
    (place / "retriever.py").write_text(NO_WORD)
    assert main(arguments("--out", "out")) == 0
    assert main(arguments("--out", "out")) == 0
    (one,) = found(place / "out")
    assert one.metrics["R@1"] == 1
    assert one.retriever.description["class"] == "Words"
    # Texts are no longer told from each other: an encoder that was broken by an edit.
    edit(place / "retriever.py", "vector(text) for text in texts", "vector('red') for text in texts")
    assert main(arguments("--out", "out")) == 0
    first, second = two(place)
    assert first.id == one.id
    assert second.metrics["R@1"] < 0.1, "no vector of the old code is used"


def test_a_module_beside_a_retriever(place: Path, arguments: Arguments) -> None:
    (place / "retriever.py").write_text(NO_WORD.partition("def vector")[0] + "from vectors import vector\n")
    (place / "vectors.py").write_text("import numpy as np\n\n\ndef vector" + NO_WORD.partition("def vector")[2])
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-m", "grapebench", *arguments("--out", "out")]
    for seed in ("list(word.encode())", "len(word)"):
        edit(place / "vectors.py", "list(word.encode())", seed)
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": root}, cwd=place, capture_output=True)
    assert len({figures(result) for result in found(place / "out")}) == 2


def test_a_retriever_that_inherits_its_fingerprint(place: Path, arguments: Arguments) -> None:
    base = NO_WORD.replace(
        "class Words:", "class Base:\n    fingerprint = 'base'\n    description = {'model': 'base'}\n"
    )
    (place / "retriever.py").write_text(base + "\n\nclass Words(Base):\n    pass\n")
    assert main(arguments("--out", "out")) == 0
    edit(
        place / "retriever.py",
        "class Words(Base):\n    pass",
        "class Words(Base):\n    def encode_texts(self, texts):\n"
        "        return Base().encode_texts(['a' for _ in texts])",
    )
    assert main(arguments("--out", "out")) == 0
    first, second = two(place)
    assert first.metrics["R@1"] == 1 and second.metrics["R@1"] < 1
    assert first.retriever.description["model"] == "base"


def test_one_that_brings_vectors_and_no_fingerprint_is_refused(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "\n    def look_up_images(self, names):\n        return None\n"
    (place / "retriever.py").write_text(NO_WORD.replace("class Words:", "class Words:" + more))
    assert main(arguments()) == 2
    assert "Words brings vectors along and has no fingerprint" in capsys.readouterr().err


def test_a_rewriter(place: Path, arguments: Arguments) -> None:
    edit(place / "rewriters.py", '    fingerprint = "strip"\n', "")
    assert main(arguments("--out", "out")) == 0
    edit(place / "rewriters.py", 'replace("x", "")', 'replace("x", "y")')
    assert main(arguments("--out", "out")) == 0
    first, second = two(place)
    assert first.metrics["R@1"] == 1 and second.metrics["R@1"] < 1


def test_a_rewriter_that_inherits_from_one_of_grapebench(place: Path, arguments: Arguments) -> None:
    (place / "short.py").write_text(SHORT)
    card = 'name = "mine"\ntitle = "t"\nabout = "a"\nmechanism = "short.py:Short"\n[settings]\nwords = 3\n'
    (place / "mine.toml").write_text(card)
    asked = [*arguments()[:-1], "mine.toml", "--out", "out"]
    assert main(asked) == 0
    edit(place / "short.py", '"red"', '"green"')
    assert main(asked) == 0
    first, second = two(place)
    assert first.files["rewrites.jsonl.gz"] != second.files["rewrites.jsonl.gz"]


def test_a_loader(place: Path, arguments: Arguments) -> None:
    assert main(arguments("--out", "out")) == 0
    edit(place / "loader.py", 'Query(f"q-{n}", "x" +', 'Query(f"q-{n}", "xx" +')
    assert main(arguments("--out", "out", rewriter="Raw")) == 0
    edit(place / "loader.py", '"xx" +', '"xy" +')
    assert main(arguments("--out", "out", rewriter="Raw")) == 0
    assert len({result.data.dataset for result in found(place / "out")}) == 3


def test_a_loader_that_writes_captions(place: Path, arguments: Arguments) -> None:
    (place / "rewriters.py").write_text(REPEAT)
    edit(place / "loader.py", '("de", "zh")[int(n[1:]) % 2])', '("de", "zh")[0], reference_caption=texts[n])')
    asked = [*arguments("--out", "out")]
    asked[asked.index("rewriters.py:StripPrefix")] = "rewriters.py:Repeat"
    assert main(asked) == 0
    edit(place / "loader.py", "reference_caption=texts[n]", "reference_caption='red'")
    assert main(asked) == 0
    first, second = two(place)
    assert first.metrics["R@1"] == 1 and second.metrics["R@1"] < 1


def test_images_that_a_loader_finds(place: Path, arguments: Arguments) -> None:
    assert main(arguments("--out", "out")) == 0
    (place / "data" / "images" / "i00.png").write_text("purple a")
    assert main(arguments("--out", "out")) == 0
    first, second = two(place)
    assert first.data.images != second.data.images


def test_a_captioner(fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "says.py").write_text(SAYS)
    (tmp_path / "repeat.py").write_text(REPEAT)
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nabout = "A test."\nmechanism = "repeat.py:Repeat"\nfamilies = ["compose"]\n'
        'captioner = "says.toml"\n'
    )
    (tmp_path / "says.toml").write_text('name = "says"\ntitle = "t"\nabout = "a"\nmechanism = "says.py:Says"\n')
    asked = ["run", "--task", "cirr", "--rewriter", "mine.toml", "--limit", "5", "--out", "out"]
    assert main(asked) == 0
    assert main(asked) == 0
    assert len(found(tmp_path / "out")) == 1
    edit(tmp_path / "says.py", "a fish", "a big red kite")
    assert main(asked) == 0
    first, second = two(tmp_path)
    assert first.determinants["captioner"] != second.determinants["captioner"]


def test_a_captioner_that_inherits_from_one_of_grapebench(tmp_path: Path) -> None:
    (tmp_path / "caption_bank.txt").write_text("a fish\n")
    setup = Setup("mini", "compose", 0, tmp_path)
    told = []
    for caption in ("a fish", "a fish", "a kite"):
        (tmp_path / "mine.py").write_text(BANK.replace("a fish", caption))
        loaded = open_captioner(f"{tmp_path / 'mine.py'}:Mine", setup)
        told.append((loaded.fingerprint, str(runner._captioner_identity(loaded))))
    assert told[0] == told[1]
    assert told[0][0] != told[2][0] and told[0][1] != told[2][1]
    bank = open_captioner("bank", setup)
    assert runner._captioner_identity(bank)["name"] == "bank", "one of grapebench says itself what it is"
