from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.export.source import ranked, write

SCORES = st.dictionaries(
    st.sampled_from("abcdef"), st.dictionaries(st.sampled_from("123456"), st.integers(-9, 9), min_size=1), min_size=1
)


@given(scores=SCORES, depth=st.integers(1, 7), data=st.data())
def test_best_first_whatever_the_order_of_the_lines(
    scores: dict[str, dict[str, int]], depth: int, data: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [(query, image, score) for query, images in scores.items() for image, score in images.items()]
    rows = data.draw(st.permutations(rows))
    folder = tmp_path_factory.mktemp("run")
    (folder / "some.trec").write_text("".join(f"{query} Q0 {image} 1 {score} x\n" for query, image, score in rows))
    source: Any = SimpleNamespace(folder=folder, result=SimpleNamespace(files={"some.trec": ""}))
    found = ranked(source, "some.trec", sorted(scores), "123456", depth)
    assert list(found) == sorted(scores)
    for query, images in found.items():
        # Of equal scores the one that stands first in the file.
        lines = [(-score, line, image) for line, (asked, image, score) in enumerate(rows) if asked == query]
        assert images == [image for _, _, image in sorted(lines)][:depth]


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    paths = write({"a.json": {"图": ["b"]}, "b.json": {}}, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["a.json", "b.json"]
    assert paths[0].read_bytes() == '{"图":["b"]}'.encode()
    with pytest.raises(UserError, match="b.json would take 13 bytes, more than the 12 that are accepted"):
        write({"a.json": {}, "b.json": {"图": "图"}}, tmp_path, most=12)
    assert write({"b.json": {"图": "图"}}, tmp_path, most=13), "bytes are counted, not characters"
    assert not (tmp_path / "a.json").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        write({"a.json": {}}, tmp_path / "file")


def test_what_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    write({"a.json": {"new": []}}, tmp_path)
    assert json.loads((tmp_path / "a.json").read_text()) == {"new": []}
