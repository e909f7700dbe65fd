"""Finished runs: kept whole, found again."""

from __future__ import annotations

from pathlib import Path

import pytest
from study import kept

from grapebench.errors import UserError


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    assert kept.read(tmp_path) == {}
    records = [{"key": "a", "value": 1.5}, {"key": "b", "text": "画"}]
    for record in records:
        kept.append(tmp_path, record)
    assert kept.read(tmp_path) == {"a": records[0], "b": records[1]}


def test_half_a_line_is_no_record_and_goes_with_the_next(tmp_path: Path) -> None:
    kept.append(tmp_path, {"key": "a"})
    path = tmp_path / kept.RUNS
    path.write_bytes(path.read_bytes() + b'{"key": "b", "val')
    assert list(kept.read(tmp_path)) == ["a"]
    kept.append(tmp_path, {"key": "c"})
    assert list(kept.read(tmp_path)) == ["a", "c"]
    assert path.read_text() == '{"key": "a"}\n{"key": "c"}\n'


@pytest.mark.parametrize("line", ["no json", '{"nokey": 1}', "[1]"])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / kept.RUNS).write_text('{"key": "a"}\n' + line + "\n")
    with pytest.raises(UserError) as raised:
        kept.read(tmp_path)
    assert raised.value.line == 2


def test_what_is_no_number_in_json_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        kept.append(tmp_path, {"key": "a", "value": float("nan")})
    assert kept.read(tmp_path) == {}
