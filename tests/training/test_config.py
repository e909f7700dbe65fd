from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.training.config import GrapeConfig, dump, fill, merged, read, setting, table

WORDS = st.text(min_size=1, max_size=8)
PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    WORDS,
    st.lists(WORDS),
)


@given(st.dictionaries(WORDS, st.one_of(PLAIN, st.dictionaries(WORDS, PLAIN, min_size=1)), max_size=5))
def test_a_table_reads_back(values: dict[str, Any]) -> None:
    assert tomllib.loads(table(values)) == values


def test_settings_read_back(tmp_path: Path) -> None:
    config = fill(
        {
            "task": "cirr",
            "pool": 300,
            "lora": {"targets": ["q_proj", "v_proj"]},
            "reward": {"ranks": {"ndcg": 1, "own/file.py:mine": 0.5}, "options": {"ndcg": {"k": 5}}, "words": [1, 9]},
            "trl": {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": "http://localhost:8000"},
        }
    )
    (tmp_path / "config.toml").write_text(dump(config))
    assert fill(read(tmp_path / "config.toml")) == config
    assert config.pool == 300 and config.reward.options == {"ndcg": {"k": 5}}


def test_one_task_or_several(tmp_path: Path) -> None:
    for task in ("cirr", ["cirr"]):
        config = fill({"task": task})
        assert config.task == ("cirr",) and dump(config).startswith('task = "cirr"\n')
        assert config.determining["task"] == "cirr"
    several = fill({"task": ["cirr", "flickr30k-cn"]})
    assert dump(several).startswith('task = ["cirr", "flickr30k-cn"]\n')
    (tmp_path / "config.toml").write_text(dump(several))
    assert fill(read(tmp_path / "config.toml")) == several
    assert several.determining != fill({"task": ["flickr30k-cn", "cirr"]}).determining


def test_paths_are_absolute_and_names_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lm").mkdir()
    (tmp_path / "mini-clip").mkdir()  # a card has this name
    ranks = {"ndcg": 1.0, "own/file.py:mine": 0.5}
    given = {
        "task": ["cirr", "mine.toml"],
        "rewriter": "cards/start.toml",
        "model": "lm",
        "reward": {"ranks": ranks, "options": {"own/file.py:mine": {"k": 5}}},
        "trl": {"deepspeed": "ds.json", "loss_type": "dr_grpo"},
    }
    config = fill(given)
    assert config.task == ("cirr", str(tmp_path / "mine.toml"))
    assert (config.rewriter, config.model) == (str(tmp_path / "cards" / "start.toml"), str(tmp_path / "lm"))
    assert config.reward.ranks == {"ndcg": 1.0, f"{tmp_path}/own/file.py:mine": 0.5}
    assert config.reward.options == {f"{tmp_path}/own/file.py:mine": {"k": 5}}
    assert config.trl == {"deepspeed": str(tmp_path / "ds.json"), "loss_type": "dr_grpo"}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert fill(tomllib.loads(dump(config))) == config
    monkeypatch.chdir(tmp_path)
    for text, wanted in {
        "mini-clip": "mini-clip",
        "ViT-B-32@openai": "ViT-B-32@openai",
        "ViT-B-32@own/weights.pt": f"ViT-B-32@{tmp_path}/own/weights.pt",
        "hf-hub:some/one": "hf-hub:some/one",
        "lm": str(tmp_path / "lm"),
        "local-dir:lm": f"local-dir:{tmp_path}/lm",
        "retriever.py:Letters": f"{tmp_path}/retriever.py:Letters",
        "card.toml": str(tmp_path / "card.toml"),
    }.items():
        assert fill({"task": "cirr", "retriever": text}).retriever == wanted
    assert fill({"task": "cirr", "model": "Qwen/Qwen3-8B"}).model == "Qwen/Qwen3-8B"


def test_what_only_watches_determines_nothing() -> None:
    assert GrapeConfig(task="cirr").determining == GrapeConfig(task="cirr", tensorboard=True).determining
    assert GrapeConfig(task="cirr").determining != GrapeConfig(task="cirr", seed=1).determining


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("lora.r=8", {"lora": {"r": 8}}),
        ("pool=batch", {"pool": "batch"}),
        ("beta = 0.1", {"beta": 0.1}),
        ("trl.report_to=['wandb']", {"trl": {"report_to": ["wandb"]}}),
        ("model=/some/where", {"model": "/some/where"}),
    ],
)
def test_one_setting(text: str, wanted: dict[str, Any]) -> None:
    assert setting(text) == wanted


def test_changes_stand_table_by_table() -> None:
    assert merged({"lora": {"r": 4, "alpha": 8}, "seed": 1}, {"lora": {"r": 2}}) == {
        "lora": {"r": 2, "alpha": 8},
        "seed": 1,
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"task": "x", "stepz": 3}, "unknown setting 'stepz'; did you mean 'steps'?"),
        ({"task": "x", "lora": {"q": 1}}, "unknown setting 'lora.q'"),
        ({"task": "x", "reward": {"rankz": {}}}, "unknown setting 'reward.rankz'"),
        ({"task": "x", "collapse": {"patience": 1}}, "unknown setting 'collapse.patience'"),
        ({"task": "x", "steps": 0}, "steps: input should be greater than or equal to 1, not 0"),
        ({"task": "x", "group": 1}, "group: input should be greater than or equal to 2, not 1"),
        ({"steps": 3}, "the setting 'task' is missing"),
        ({"task": []}, "task: tuple should have at least 1 item"),
        ({"task": 3}, "task: input should be a valid tuple, not 3"),
        ({"task": ["x", 3]}, "task.1: input should be a valid string, not 3"),
        ({"task": "x", "pool": "all"}, "pool: input should be 'corpus' or 'batch', not 'all'"),
    ],
)
def test_wrong_settings_are_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        fill(values)


def test_bad_files_and_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none.toml: no such file"):
        read(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("steps = = 3")
    with pytest.raises(UserError, match="bad.toml: is not valid TOML"):
        read(tmp_path / "bad.toml")
    with pytest.raises(UserError, match="not of the form key=value"):
        setting("steps")
