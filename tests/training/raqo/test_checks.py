"""What a RAQO training will need is missed before anything is made, and what data are short of before it learns."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.training.raqo import checks, fitting, stages
from tests.training.raqo.conftest import rows

Configured = Callable[..., tuple[Any, Any]]
ALL = ("data", "ccd", "qre", "pro")
GUESSES = """
from grapebench.records import Rewrite


class Guesses:
    fingerprint = "guesses"

    def rewrite(self, queries):
        for query in queries:
            text = query.text.lower() + "a" * int(query.id.partition("#")[2] or 0)
            yield Rewrite(query.id, texts=(text,), raw=text)
"""
DATA: dict[str, Any] = {"rewriter": "guesses.py:Guesses", "unambiguous": 2, "ambiguous": 3, "samples": 2}


def run(some: tuple[Any, Any], folder: Path, parts: tuple[str, ...] = ALL) -> dict[str, Any]:
    return stages.run(*some, folder, parts, lambda *_: None)


def made(configured: Configured, folder: Path, **changes: Any) -> None:
    """A training whose data are there."""
    config, material = configured(**changes)
    folder.mkdir()
    stages._prepare(config, material, folder)
    shutil.copytree("sets", folder / "data")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rewriter": "plain.toml"}, "plain detects no concepts"),
        ({"data": DATA | {"samples": 1, "rounds": 1}}, "pro learns from several rewrites of a query"),
        ({"lora": {"targets": ["nowhere"]}}, r"the adapter cannot be made: .*nowhere.*; set lora\.targets"),
    ],
)
def test_what_stages_will_not_find_is_said_before_data_are_made(
    recot: Path, configured: Configured, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        run(configured(**{"data": DATA} | changes), recot / "out")
    assert not (recot / "out" / "data").exists()


def test_packages_and_room(recot: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
        with pytest.raises(UserError, match=r"training all weights keeps about .* GiB at once, and 0\.0 are free"):
            run(configured(full=True, data=DATA), recot / "out")
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name == "trl" else name)
    with pytest.raises(UserError, match=r"trl is not installed; .*grapebench\[train\]"):
        run(configured(data=DATA), recot / "out")
    assert not (recot / "out" / "data").exists()


def test_a_stage_without_examples_stops_all_before_the_first(recot: Path, configured: Configured) -> None:
    from datasets import Dataset

    made(configured, recot / "out")
    shutil.rmtree(recot / "out" / "data" / "pro")
    single = [row | {"rewrites": row["rewrites"][:1], "rewards": row["rewards"][:1]} for row in rows("pro")]
    Dataset.from_list(single).save_to_disk(str(recot / "out" / "data" / "pro"))
    said = r"nothing to learn from for pro: 13 rows, of which 13 a single rewrite; raise data\.queries"
    with pytest.raises(UserError, match=said):
        run(configured(), recot / "out", ("ccd", "qre", "pro"))
    assert not (recot / "out" / "ccd").exists() and not (recot / "out" / "start.json").exists()


def test_a_batch_larger_than_the_data_is_all_of_them(
    recot: Path, configured: Configured, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"stages": ["pro"], "pro": {"epochs": 2, "batch": 16, "micro_batch": 4, "learning_rate": 0.01}}
    made(configured, recot / "out", **changes)
    run(configured(**changes), recot / "out", ("pro",))
    assert "warning: pro.batch is 16, and there are 13 to learn from: a step has 13" in capsys.readouterr().err
    assert len(fitting.losses(recot / "out" / "pro")) == 2, "a step an epoch"
    assert json.loads((recot / "out" / "pro" / "stage.json").read_text())["settings"]["batch"] == 16, "as it was asked"


def test_settings_that_cannot_come_to_what_they_say(
    recot: Path, configured: Configured, capsys: pytest.CaptureFixture[str]
) -> None:
    many = {"candidates": 9, "batch": 500}
    config, material = configured(pro=many, data=DATA | {"queries": 6})
    checks.ahead(config, material, recot, ("ccd", "qre", "pro"))
    err = capsys.readouterr().err
    assert "pro.candidates is 9, and a list of the data has 5 rewrites at most" in err
    assert "pro.batch is 500, and the data are made of 6 queries" in err and "qre.batch" not in err


@pytest.mark.parametrize(("dropped", "kept", "said"), [(0, 0, False), (9, 1, False), (10, 1, True), (3, 0, True)])
def test_nearly_all_dropped(dropped: int, kept: int, said: bool, capsys: pytest.CaptureFixture[str]) -> None:
    checks.drifting("rewrites", dropped, kept, "data.keep_sentences = 0.5")
    assert (f"{dropped} of {dropped + kept} rewrites were dropped" in capsys.readouterr().err) == said


@pytest.mark.parametrize("fails", [False, True])
def test_a_filter_that_drops_all_is_told_with_counts(
    recot: Path,
    configured: Configured,
    fails: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from types import ModuleType

    import numpy as np

    class Encoder:
        """Lower and upper case have next to nothing in common."""

        def __init__(self, folder: str, **_: Any) -> None:
            pass

        def encode(self, texts: list[str], **_: Any) -> Any:
            upper = np.array([text == text.upper() for text in texts], np.float32)
            return np.stack([upper * 0.8 + 0.6 * (1 - upper), upper * 0.6 - 0.8 * (1 - upper)], 1)

    module: Any = ModuleType("sentence_transformers")
    module.SentenceTransformer = Encoder
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    (recot / "guesses.py").write_text(GUESSES)
    encoder = recot / "encoder"
    encoder.mkdir()
    (encoder / "config.json").write_text("{}")
    (encoder / "README.md").write_text("---\nlanguage: de\n---\n")
    keep = 0.5 if fails else -1.0
    data = DATA | {"meaning": "sentences", "sentence_model": str(encoder), "keep_sentences": keep}
    run(configured(data=data), recot / "out", ("data",))
    card = json.loads((recot / "out" / "data" / "card.json").read_text())
    outcomes = [one["outcomes"] for one in card["rounds"]]
    drifts, kept = (sum(one.get(name, 0) for one in outcomes) for name in ("drifts", "kept"))
    err = capsys.readouterr().err
    if fails:
        assert drifts and not kept
        assert f"warning: {drifts} of {drifts} rewrites that find their image were dropped" in err
        assert f"data.keep_sentences = 0.5 with {encoder}" in err
    else:
        assert kept and not drifts and "warning" not in err


def test_an_english_encoder_is_refused_before_anything_is_asked(
    recot: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import ModuleType

    module: Any = ModuleType("sentence_transformers")
    module.SentenceTransformer = None
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    (recot / "guesses.py").write_text(GUESSES)
    (recot / "encoder").mkdir()
    (recot / "encoder" / "README.md").write_text("---\nlanguage: en\n---\n")
    data = DATA | {"meaning": "sentences", "sentence_model": "encoder"}
    with pytest.raises(UserError, match="encoder knows en, and 20 of 20 queries are in de"):
        run(configured(data=data), recot / "out", ("data",))
    assert not list((recot / "out").glob("data/*.parquet"))
