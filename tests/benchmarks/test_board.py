"""The benchmark of the board, in small."""

from __future__ import annotations

import re
from pathlib import Path

import board
import numpy as np
import pytest

from grapebench.cli.main import main
from grapebench.leaderboard import artifacts, building, store

SIZE = board.Size(tasks=2, rewriters=5, seeds=2, queries=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board") / "results"
    board.make(folder, SIZE)
    return folder


def test_the_store_is_whole_and_a_board(made: Path) -> None:
    stored, broken = store.find([made])
    assert not broken and len(stored) == SIZE.results
    for one in stored[:4]:
        store.load(one.folder, hashes=True)
        ranks = np.array(artifacts.read_table(one.folder / "per_query.parquet")["rank"])
        assert one.result.queries == len(ranks) == 60
        if one.result.protocol != "multilingual":
            assert one.result.metrics["R@10"] == pytest.approx(np.mean(ranks <= 10))
    found = building.read(made)
    assert len(found.tables) == 2 and not found.problems
    assert all(row.rank for table in found.tables for row in table.ranked)
    assert all(table.references == ("llm",) and len(table.oracles) == 1 for table in found.tables)


def test_one_broken_result_does_not_keep_the_rest(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored, _ = store.find([made])
    path = stored[0].folder / "result.json"
    whole = path.read_text()
    path.write_text(whole[:100])
    try:
        assert main(["leaderboard", "build", "--results", str(made), "--out", str(tmp_path / "board.md")]) == 1
    finally:
        path.write_text(whole)
    said = capsys.readouterr().err
    assert f"left out: {path}" in said and f"{SIZE.results - 1} results in 2 tables" in said
    page = (tmp_path / "board.md").read_text()
    assert stored[0].result.id not in page and all(one.result.id in page for one in stored[1:])


def test_it_measures_a_process(made: Path) -> None:
    took = board.build(made)
    assert took.seconds > 0 and took.processor > 0 and 20 < took.mib < 2048
    text = board.table(SIZE, 0.5, {"build": took})
    assert re.search(
        r"### 20 results of 60 queries in 2 tables.*\| build \| \d+\.\d \| \d+\.\d \| \d+ \|", text, re.DOTALL
    )
    with pytest.raises(SystemExit, match="code 2"):
        board.build(made / "nowhere")
