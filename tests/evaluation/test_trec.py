from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.evaluation import trec

GOOD = "q1 Q0 a 1 0.5 me\nq1 Q0 b 2 -0.25 me\nq2\tQ0\ta\t1\t1e-3\tme\n"


def write(folder: Path, text: str | bytes, name: str = "run.trec") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("text", [GOOD, GOOD.replace("\n", "\r\n"), GOOD.rstrip("\n")])
def test_six_columns_are_read(tmp_path: Path, text: str) -> None:
    run = trec.read_run(write(tmp_path, text))
    assert run.queries == ("q1", "q2") and run.images == ("a", "b")
    assert run.query.tolist() == [0, 0, 1] and run.image.tolist() == [0, 1, 0]
    assert run.score.tolist() == [0.5, -0.25, 1e-3]


def test_gzip_is_read_whatever_the_name(tmp_path: Path) -> None:
    assert trec.read_run(write(tmp_path, gzip.compress(GOOD.encode()), "run.txt")).queries == ("q1", "q2")


def test_only_ascii_white_space_separates(tmp_path: Path) -> None:
    run = trec.read_run(write(tmp_path, "全角\u3000空格 Q0 a\u00a0b 1 1 me\n"))
    assert run.queries == ("全角\u3000空格",) and run.images == ("a\u00a0b",)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("q3 Q0 a 1 0.5", "expected 6 columns (query Q0 image rank score tag), found 5"),
        ("q3 Q0 a 1 0.5 me too", "expected 6 columns (query Q0 image rank score tag), found 7"),
        ("", "found 0"),
        ("q3 Q0 a 1 high me", "the score is not a number: 'high'"),
        ("q3 Q0 a 1 1_000 me", "the score is not a number: '1_000'"),
        ("q3 Q0 a 1 nan me", "the score is not finite: nan"),
        ("q3 Q0 a 1 -inf me", "the score is not finite: -inf"),
        ("q3 Q0 a 1 1e999 me", "the score is not finite: 1e999"),
        ("q1 Q0 b 9 0.1 me", "query 'q1' and image 'b' occur twice, first on line 2"),
        (b"q3 Q0 caf\xe9 1 0.5 me", "not UTF-8"),
        (b"caf\xe9 Q0 a 1 0.5 me", "not UTF-8"),
    ],
)
@pytest.mark.parametrize("pad", [0, 25_000])
def test_what_is_wrong_with_a_run_is_said_with_its_line(tmp_path: Path, row: str | bytes, what: str, pad: int) -> None:
    lines = GOOD + "".join(f"pad Q0 i{n} 1 0 me\n" for n in range(pad))
    path = write(tmp_path, lines.encode() + (row.encode() if isinstance(row, str) else row) + b"\nq9 Q0 a 1 1 me\n")
    with pytest.raises(UserError) as caught:
        trec.read_run(path)
    assert str(caught.value).startswith(f"{path}:{4 + pad}: ") and what in str(caught.value)


def test_an_empty_missing_or_broken_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run.trec:1: the run is empty"):
        trec.read_run(write(tmp_path, ""))
    with pytest.raises(UserError, match="no.trec: the file is missing"):
        trec.read_run(tmp_path / "no.trec")
    with pytest.raises(UserError, match="is a directory"):
        trec.read_run(tmp_path)
    packed = gzip.compress(GOOD.encode() * 100)
    for broken in (packed[: len(packed) // 2], packed[:20] + b"\xff" * 30 + packed[50:], packed[:-8] + b"12345678"):
        with pytest.raises(UserError, match="run.trec.gz: the gzip file is damaged or broken off"):
            trec.read_run(write(tmp_path, broken, "run.trec.gz"))


names = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1), unique=True)


@given(st.data(), names.filter(bool), names.filter(bool), st.sampled_from(["run.trec", "run.trec.gz"]))
def test_what_is_written_reads_back_as_the_same_float32(
    data: st.DataObject, queries: list[str], images: list[str], name: str
) -> None:
    depth = len(images)
    columns = np.array([data.draw(st.permutations(range(depth))) for _ in queries])
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    size = len(queries) * depth
    scores = np.array(data.draw(st.lists(finite, min_size=size, max_size=size)), dtype=np.float32).reshape(-1, depth)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        trec.write_run(path, queries, images, columns, scores)
        run = trec.read_run(path)
        assert list(Path(folder).iterdir()) == [path]
    assert run.queries == tuple(queries)
    assert [run.images[place] for place in run.image] == [images[column] for column in columns.ravel()]
    assert run.score.astype(np.float32).tolist() == scores.ravel().tolist()


def test_ranks_count_from_one_and_negative_columns_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    columns, scores = np.array([[1, -1, 0]]), np.array([[0.5, 0.25, 0.125]], dtype=np.float32)
    trec.write_run(path, ["q"], ["a", "b"], columns, scores, tag="me")
    assert path.read_text() == "q Q0 b 1 0.5 me\nq Q0 a 2 0.125 me\n"


def test_ids_with_percent_signs_and_scores_in_float64(tmp_path: Path) -> None:
    scores = np.array([[1 / 61 + 1 / 7000, 1 / 61 + 1 / 7000 - 2e-18 * 2], [0.5, 1 / 3]])
    trec.write_run(tmp_path / "run", ["100%s", "%d%%"], ["a%", "%(b)s"], np.array([[1, 0], [0, 1]]), scores, tag="5%")
    run = trec.read_run(tmp_path / "run")
    assert run.queries == ("100%s", "%d%%") and run.images == ("%(b)s", "a%")
    assert run.score.tolist() == scores.ravel().tolist()
    assert (tmp_path / "run").read_text().splitlines()[2] == "%d%% Q0 a% 1 0.5 5%"


def test_the_same_run_is_the_same_bytes_whenever_and_wherever(tmp_path: Path) -> None:
    columns, scores = np.array([[1, 0]]), np.array([[0.5, 0.25]], dtype=np.float32)
    for name in ("one.trec.gz", "two.trec.gz"):
        trec.write_run(tmp_path / name, ["q"], ["a", "b"], columns, scores)
    written = (tmp_path / "one.trec.gz").read_bytes()
    assert written == (tmp_path / "two.trec.gz").read_bytes()
    assert written[3:8] == bytes(5), "the gzip header holds a file name or a time"


@pytest.mark.parametrize("name", ["two words", "", "line\nfeed"])
def test_ids_that_would_break_the_columns_are_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot stand in a TREC file"):
        trec.write_run(tmp_path / "run.trec", [name], ["a"], np.array([[0]]), np.ones((1, 1)))
    with pytest.raises(UserError, match="cannot stand in a TREC file"):
        trec.write_qrels(tmp_path / "qrels", {"q": [name]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["qrels", "qrels.gz"])
def test_qrels_come_back(tmp_path: Path, name: str) -> None:
    trec.write_qrels(tmp_path / name, {"q1": ["a", "b"], "q2": ["a"]})
    assert trec.read_qrels(tmp_path / name) == {"q1": {"a": 1, "b": 1}, "q2": {"a": 1}}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("q2 0 a", "expected 4 columns (query iteration image relevance), found 3"),
        ("q2 0 a yes", "the relevance must be a whole number, found 'yes'"),
        ("q2 0 a 0.5", "the relevance must be a whole number, found '0.5'"),
        ("q1 0 a 0", "query 'q1' and image 'a' occur twice"),
    ],
)
def test_what_is_wrong_with_qrels_is_said_with_its_line(tmp_path: Path, row: str, what: str) -> None:
    path = write(tmp_path, f"q1 0 a 1\n{row}\n")
    with pytest.raises(UserError) as caught:
        trec.read_qrels(path)
    assert str(caught.value).startswith(f"{path}:2: ") and what in str(caught.value)
