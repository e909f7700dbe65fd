"""The files beside a result, written and read back."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grapebench.leaderboard import artifacts
from grapebench.records import Query, Rewrite

COLUMNS: dict[str, Any] = {
    "query_id": ["a", "名", "", "d"],
    "image_id": ("i1", "i2", "i3", "i4"),
    "rank": np.array([1, 5, 7, 2**31 - 1], np.int32),
    "rank_grade_0.5": [None, 3, 2**40, None],
    "average_precision": np.array([0.5, np.nan, 1 / 3, 0]),
    "similarity_margin": np.array([0.25, -1, np.nan, 0], np.float32),
    "fallback": [None, "empty", None, "名"],
    "nothing": [None] * 4,
}


@pytest.mark.parametrize("rows", [4, 1, 0])
def test_a_table_is_what_arrow_itself_makes(rows: int, tmp_path: Path) -> None:
    columns = {name: values[:rows] for name, values in COLUMNS.items()}
    artifacts.write_table(tmp_path / "table.parquet", columns)
    expected = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    found = pq.read_table(tmp_path / "table.parquet")
    assert found.schema.equals(expected.schema) or not rows, "without a row a list says nothing of its type"
    assert found.to_pydict() == expected.to_pydict() == artifacts.read_table(tmp_path / "table.parquet")


def test_more_rows_than_a_byte_of_the_validity_bitmap(tmp_path: Path) -> None:
    values = np.where(np.arange(1000) % 7 == 3, np.nan, np.arange(1000)).astype(np.float32)
    names = [None if n % 5 == 0 else "x" * n for n in range(1000)]
    artifacts.write_table(tmp_path / "table.parquet", {"value": values, "name": names})
    found = artifacts.read_table(tmp_path / "table.parquet")
    assert found == {"value": [None if np.isnan(v) else v for v in values.tolist()], "name": names}


def test_tables_do_not_need_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; import numpy as np; from pathlib import Path; from grapebench.leaderboard import artifacts\n"
        f"path = Path({str(tmp_path / 'table.parquet')!r})\n"
        "artifacts.write_table(path, {'a': np.arange(3.0), 'b': ['x', None, 'y'], 'c': [1, None, 2]})\n"
        "artifacts.read_table(path); print('pandas' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    assert told.stdout == "False\n"


class _Unread(type(Path())):  # type: ignore[misc]
    """A path whose opened file holds nothing for him who reads it."""

    def open(self, *arguments: Any, **named: Any) -> Any:
        super().open(*arguments, **named).close()
        return io.BytesIO()


def test_no_thread_of_arrows_is_left_with_a_file_of_pythons(tmp_path: Path) -> None:
    """One that lets go of it when Python is about to exit aborts the process."""
    artifacts.write_table(tmp_path / "table.parquet", COLUMNS)
    found = artifacts.read_table(_Unread(tmp_path / "table.parquet"))
    assert found == artifacts.read_table(tmp_path / "table.parquet") and found["query_id"] == COLUMNS["query_id"]


def test_a_table_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="table.parquet"):
        artifacts.read_table(tmp_path / "table.parquet")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        artifacts.read_table(tmp_path)


def test_rewrites_can_be_read_back_whole(tmp_path: Path) -> None:
    queries = [Query(str(n), "text") for n in range(6)]
    vectors = (np.random.default_rng(0).normal(size=(2, 5)) / 3).astype(np.float32)
    several = tuple(tuple(map(float, row)) for row in vectors)
    rewrites = [
        Rewrite("0", texts=("text",)),
        Rewrite("1", texts=("other",), raw="other", money=0.25),
        Rewrite("2", texts=("a", "b"), weights=(1.0, 0.5), fusion="rrf", raw="a\nb"),
        Rewrite("3", texts=("text",), vectors=several, fusion="max"),
        Rewrite("4", vectors=several[:1]),
        Rewrite("5", texts=("a",), images=("i",)),
    ]
    path = tmp_path / "rewrites.jsonl.gz"
    artifacts.write_rewrites(path, queries, rewrites)
    rows = list(artifacts.read_lines(path))
    assert rows[0] == {"query_id": "0"}
    assert rows[1] == {"query_id": "1", "rewrite": "other", "money": 0.25}
    assert rows[2] == {
        "query_id": "2", "rewrite": "a + b", "texts": ["a", "b"], "weights": [1.0, 0.5], "fusion": "rrf", "raw": "a\nb",
    }  # fmt: skip
    assert rows[3]["texts"] == ["text"] and rows[3]["fusion"] == "max"
    assert rows[3]["rewrite"] == "text + <vector> + <vector>"
    assert np.array(rows[3]["vectors"], np.float32).tolist() == vectors.tolist(), "the very same float32"
    assert np.array(rows[4]["vectors"], np.float32).tolist() == vectors[:1].tolist() and "fusion" not in rows[4]
    assert "vectors" not in rows[5] and rows[5]["images"] == ["i"]
