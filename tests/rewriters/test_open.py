from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.setup import Setup

COMPOSED = Query("q", "make it blue", positives=("b",), reference="a")


def setup(root: Path, family: str = "compose", suite: str = "mini", seed: int = 0) -> Setup:
    return Setup(suite, family, seed, root, device="cpu")  # type: ignore[arg-type]


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "texts", "images"),
    [("identity", ("make it blue",), ()), ("image-only", (), ("a",)), ("text-image-sum", ("make it blue",), ("a",))],
)
def test_the_raw_baselines(tmp_path: Path, name: str, texts: tuple[str, ...], images: tuple[str, ...]) -> None:
    loaded = open_rewriter(name, setup(tmp_path))
    (rewrite,) = loaded.rewriter.rewrite([COMPOSED])
    assert (rewrite.query_id, rewrite.texts, rewrite.images) == ("q", texts, images)
    assert (loaded.name, loaded.oracle, loaded.captioner, loaded.stored) == (name, False, None, False)


def test_the_raw_baselines_are_three() -> None:
    names = ("identity", "image-only", "text-image-sum")
    assert len({open_rewriter(name, setup(Path())).fingerprint for name in names}) == 3


def test_a_task_or_suite_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"image-only\.toml: .*family compose, not translate"):
        open_rewriter("image-only", setup(tmp_path, "translate"))
    with pytest.raises(UserError, match=r"oracle\.toml: .*suite mini, not full"):
        open_rewriter("oracle", setup(tmp_path, suite="full"))
    card = write(tmp_path / "c.toml", 'name="c"\ntitle=""\nabout=""\nmechanism="identity"\nsettings={use="sum"}')
    with pytest.raises(UserError, match="needs a reference image, and a 'condense' task has none"):
        open_rewriter(card, setup(tmp_path, "condense"))
    with pytest.raises(UserError, match="query 'q' has no reference image"):
        list(open_rewriter("image-only", setup(tmp_path)).rewriter.rewrite([Query("q", "x")]))


def test_the_oracle_reads_the_captions(tmp_path: Path) -> None:
    path = tmp_path / "oracle.jsonl"
    with pytest.raises(UserError, match=r"oracle\.jsonl: no such file"):
        open_rewriter("oracle", setup(tmp_path))
    path.write_text('{"image": "a", "caption": "a kite"}\n{"image": "b", "caption": "a blue kite"}\n', encoding="utf-8")
    loaded = open_rewriter("oracle", setup(tmp_path))
    assert loaded.oracle
    assert next(iter(loaded.rewriter.rewrite([COMPOSED]))).texts == ("a blue kite",)
    with pytest.raises(UserError, match="no caption for image 'z', the answer of query 'q'"):
        list(loaded.rewriter.rewrite([Query("q", "x", positives=("z",))]))
    with pytest.raises(UserError, match="query 'q' has no labelled answer"):
        list(loaded.rewriter.rewrite([Query("q", "x")]))
    before = loaded.fingerprint
    path.write_text('{"image": "a", "caption": "a kite"}\n{"image": "b"}\n', encoding="utf-8")
    assert open_rewriter("oracle", setup(tmp_path)).fingerprint != before
    with pytest.raises(UserError, match=r"oracle\.jsonl:2: not a record"):
        list(open_rewriter("oracle", setup(tmp_path)).rewriter.rewrite([COMPOSED]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[settings]\nuze = 'text'", r"c\.toml: settings\.uze: unknown setting; allowed are use"),
        ("[mini]\nuse = 'texts'", r"c\.toml: settings\.use: Input should be 'text', 'image' or 'sum', not 'texts'"),
    ],
)
def test_wrong_settings_name_file_and_key(tmp_path: Path, settings: str, message: str) -> None:
    card = write(tmp_path / "c.toml", f'name = "c"\ntitle = ""\nabout = ""\nmechanism = "identity"\n{settings}\n')
    with pytest.raises(UserError, match=message):
        open_rewriter(card, setup(tmp_path))


def test_a_suite_overrides_single_settings(tmp_path: Path) -> None:
    text = (
        'name = "c"\ntitle = ""\nabout = ""\nmechanism = "identity"\n[settings]\nuse = "image"\n[full]\nuse = "sum"\n'
    )
    card = write(tmp_path / "c.toml", text)
    texts = [len(next(iter(open_rewriter(card, setup(tmp_path, suite=suite)).rewriter.rewrite([COMPOSED]))).texts)
             for suite in ("mini", "full")]  # fmt: skip
    assert texts == [0, 1]


def test_a_task_overrides_single_settings_and_what_was_trained_on(tmp_path: Path) -> None:
    text = (
        'name = "c"\ntitle = ""\nabout = ""\nmechanism = "identity"\n[mini]\nuse = "sum"\n'
        '[tasks.cirr]\nuse = "image"\n[tasks.coco]\ntrained_on = "seen.json"\n'
    )
    card = write(tmp_path / "c.toml", text)
    cirr = open_rewriter(card, dataclasses.replace(setup(tmp_path), task="cirr"))
    assert not next(iter(cirr.rewriter.rewrite([COMPOSED]))).texts and cirr.seen is None
    with pytest.raises(UserError, match=r"'trained_on' names 'seen\.json'"):
        open_rewriter(card, dataclasses.replace(setup(tmp_path), task="coco"))
    with pytest.raises(UserError, match=r"c\.toml: rewriter 'c' is for the tasks cirr, coco, not cvlue"):
        open_rewriter(card, dataclasses.replace(setup(tmp_path), task="cvlue"))
    with pytest.raises(UserError, match="was not told which task"):
        open_rewriter(card, setup(tmp_path))


def test_a_suite_overrides_single_prompts_and_the_captioner(tmp_path: Path) -> None:
    text = (
        'name = "c"\ntitle = ""\nabout = ""\nmechanism = "mine.py:Told"\ncaptioner = "blip2"\n'
        '[prompts]\nsystem = "s.txt"\ncompose = "c.txt"\n'
        '[mini]\ncaptioner = "bank"\n[mini.prompts]\ncompose = "m.txt"\n'
    )
    for name in "scm":
        write(tmp_path / f"{name}.txt", f"{name} $query $caption" if name != "s" else name)
    constructor = "    def __init__(self, prompt):\n        self.prompt = prompt\n"
    write(tmp_path / "mine.py", f"class Told:\n{constructor}    def rewrite(self, queries):\n        return []\n")
    card = write(tmp_path / "c.toml", text)
    mini, full = (open_rewriter(card, setup(tmp_path, suite=suite)) for suite in ("mini", "full"))
    assert (mini.captioner, full.captioner) == ("bank", "blip2")
    assert [one.rewriter.prompt.user[0] for one in (mini, full)] == ["m", "c"]  # type: ignore[attr-defined]
    assert [one.rewriter.prompt.system for one in (mini, full)] == ["s", "s"]  # type: ignore[attr-defined]
    assert mini.fingerprint != full.fingerprint


def test_the_llm_card_takes_its_suite_and_family(tiny_lm: Path, tmp_path: Path) -> None:
    base = catalog.folder() / "baselines"
    text = (base / "llm.toml").read_text(encoding="utf-8").replace('"prompts/', f'"{base}/prompts/')
    card = write(tmp_path / "llm.toml", text.replace("./models/mini-lm", str(tiny_lm)))
    translate, compose = (open_rewriter(card, setup(tmp_path, family)) for family in ("translate", "compose"))
    assert (translate.captioner, compose.captioner) == (None, "bank")
    assert (translate.sampled, translate.stored) == (False, True)
    assert translate.fingerprint != compose.fingerprint
    told = translate.description
    assert set(told["model"]) == {"name", "sha256"} and told["generation"]["dtype"] == "float32"
    assert told["prompt"]["user"] == "Translate into a short English caption: $query"
    assert set(told["versions"]) == {"torch", "transformers"}
    assert json.loads(json.dumps(told)) == told
    assert open_rewriter(card, setup(tmp_path, "translate", seed=7)).fingerprint == translate.fingerprint


def test_opening_a_language_model_imports_nothing_heavy(tiny_lm: Path, tmp_path: Path) -> None:
    base = catalog.folder() / "baselines"
    text = (base / "llm.toml").read_text(encoding="utf-8").replace('"prompts/', f'"{base}/prompts/')
    card = write(tmp_path / "llm.toml", text.replace("./models/mini-lm", str(tiny_lm)))
    code = (
        "import sys; from pathlib import Path; from grapebench.rewriters import open_rewriter\n"
        "from grapebench.rewriters.setup import Setup\n"
        f"open_rewriter({card!r}, Setup('mini', 'translate', 0, Path())).fingerprint\n"
        "print([m for m in ('torch', 'transformers', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


MINE = """
from grapebench.records import Rewrite

class ShoutLoud:
    def rewrite(self, queries):
        for query in queries:
            yield Rewrite(query.id, (query.text.upper(),))

class Placed(ShoutLoud):
    fingerprint = "mine-1"
    def __init__(self, setup):
        self.root = setup.root

class Broken(ShoutLoud):
    def __init__(self):
        raise RuntimeError("no key")

class Needy(ShoutLoud):
    def __init__(self, key):
        pass

class Nameless(ShoutLoud):
    fingerprint = 3

thing = 3
"""


def test_a_class_from_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", MINE)
    loaded = open_rewriter(f"{path}:ShoutLoud", setup(tmp_path))
    assert loaded.name == "shout-loud"
    assert (loaded.card, loaded.captioner, loaded.sampled, loaded.stored) == (None, None, True, True)
    assert next(iter(loaded.rewriter.rewrite([COMPOSED]))).texts == ("MAKE IT BLUE",)
    placed = open_rewriter(f"{path}:Placed", setup(tmp_path))
    assert (placed.fingerprint, placed.rewriter.root) == ("mine-1", tmp_path)  # type: ignore[attr-defined]
    write(tmp_path / "mine.py", MINE + "# changed\n")
    assert open_rewriter(f"{path}:ShoutLoud", setup(tmp_path)).fingerprint != loaded.fingerprint
    assert open_rewriter(f"{path}:Placed", setup(tmp_path)).fingerprint == "mine-1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Broken", r"mine\.py: Broken cannot be made: RuntimeError: no key"),
        ("Needy", r"mine\.py: Needy cannot be made: TypeError: .*'key'"),
        ("Nameless", "nameless: fingerprint must be a text, not int"),
        ("thing", r"mine\.py: 3 is no rewriter; give a class with a method rewrite"),
    ],
)
def test_a_class_that_does_not_work(tmp_path: Path, name: str, message: str) -> None:
    path = write(tmp_path / "mine.py", MINE)
    with pytest.raises(UserError, match=message):
        open_rewriter(f"{path}:{name}", setup(tmp_path))


def test_a_card_may_name_a_class_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "mine.py", MINE)
    text = 'name = "c"\ntitle = ""\nabout = ""\nmechanism = "mine.py:ShoutLoud"\n'
    loaded = open_rewriter(write(tmp_path / "c.toml", text), setup(tmp_path))
    assert next(iter(loaded.rewriter.rewrite([COMPOSED]))).texts == ("MAKE IT BLUE",)
    with pytest.raises(UserError, match=r"c\.toml: settings\.loud: this mechanism takes no settings"):
        open_rewriter(write(tmp_path / "c.toml", text + "[settings]\nloud = true\n"), setup(tmp_path))


def test_the_guide_runs(tmp_path: Path) -> None:
    guide = (catalog.folder() / "docs" / "rewriters.md").read_text(encoding="utf-8")
    path = write(tmp_path / "mine.py", guide.split("```python\n")[1].split("```")[0])
    loaded = open_rewriter(f"{path}:ShoutLoud", setup(tmp_path))
    assert (loaded.fingerprint, loaded.sampled) == ("shout-loud-1", False)
    assert next(iter(loaded.rewriter.rewrite([COMPOSED]))).texts == ("MAKE IT BLUE",)
