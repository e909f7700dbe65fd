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
