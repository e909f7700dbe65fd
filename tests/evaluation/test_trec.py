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
from grapebench.names import read_back

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


def test_an_empty_id_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot stand in a TREC file"):
        trec.write_run(tmp_path / "run.trec", [""], ["a"], np.array([[0]]), np.ones((1, 1)))
    with pytest.raises(UserError, match="cannot stand in a TREC file"):
        trec.write_qrels(tmp_path / "qrels", {"q": [""]})
    assert list(tmp_path.iterdir()) == []


IDS = ["two words", "line\nfeed", "tab\t", " before", "\u3000wide", "100% sure.png"]


@pytest.mark.parametrize("name", IDS)
def test_ids_with_white_space_are_written_so_that_every_reader_reads_them(tmp_path: Path, name: str) -> None:
    import ir_measures
    import pytrec_eval

    columns, scores = np.array([[0, 1], [1, 0]]), np.array([[0.5, 0.25], [0.5, 0.25]], dtype=np.float32)
    trec.write_run(tmp_path / "run", ["q", f"q {name}"], [name, "b"], columns, scores)
    trec.write_qrels(tmp_path / "qrels", {"q": [name], f"q {name}": [name]})
    text = (tmp_path / "run").read_text()
    assert all(len(line.split(" ")) == len(line.split()) == 6 for line in text.splitlines())
    run = trec.read_run(tmp_path / "run")
    assert [read_back(one) for one in run.queries] == ["q", f"q {name}"]
    assert [read_back(one) for one in run.images] == [name, "b"]
    evaluator = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel((tmp_path / "qrels").open()), {"recip_rank"})
    found = evaluator.evaluate(pytrec_eval.parse_run((tmp_path / "run").open()))
    assert sorted(one["recip_rank"] for one in found.values()) == [0.5, 1.0]
    read = (ir_measures.read_trec_qrels(str(tmp_path / "qrels")), ir_measures.read_trec_run(str(tmp_path / "run")))
    assert ir_measures.calc_aggregate([ir_measures.RR], *read)[ir_measures.RR] == 0.75


MARKS = [b"", b"\xef\xbb\xbf"]
ENDS = [b"\n", b"\r\n", b"\n\n", b"\n \n\r\n", b""]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("end", ENDS)
def test_marks_and_blank_last_lines_change_nothing(tmp_path: Path, mark: bytes, end: bytes, zipped: bool) -> None:
    pack = gzip.compress if zipped else bytes
    (tmp_path / "run").write_bytes(pack(mark + b"q1 Q0 caf\xc3\xa9 1 2 t\nq2 Q0 b 1 1 t" + end))
    run = trec.read_run(tmp_path / "run")
    assert (run.queries, run.images, run.score.tolist()) == (("q1", "q2"), ("caf\u00e9", "b"), [2, 1])
    (tmp_path / "qrels").write_bytes(pack(mark + b"q1 0 a 1\nq2 0 b 0" + end))
    assert trec.read_qrels(tmp_path / "qrels") == {"q1": {"a": 1}, "q2": {"b": 0}}


@pytest.mark.parametrize("chunk", [1, 2, 3, 10])
@pytest.mark.parametrize("blank", [1, 2, 3])
def test_a_blank_line_within_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, blank: int) -> None:
    monkeypatch.setattr(trec, "CHUNK", chunk)
    (tmp_path / "run").write_text("q Q0 a 1 2 t\n" + "\n" * blank + "q Q0 b 2 1 t\n")
    with pytest.raises(UserError, match=r"run:2: expected 6 columns .*, found 0"):
        trec.read_run(tmp_path / "run")
    (tmp_path / "qrels").write_text("q 0 a 1\n" + "\n" * blank + "q 0 b 1\n")
    with pytest.raises(UserError, match=r"qrels:2: expected 4 columns .*, found 0"):
        trec.read_qrels(tmp_path / "qrels")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("zipped", [False, True])
def test_utf_16_is_called_so(tmp_path: Path, encoding: str, zipped: bool) -> None:
    data = "q Q0 a 1 2 t\n".encode(encoding)
    (tmp_path / "run").write_bytes(gzip.compress(data) if zipped else data)
    for read in (trec.read_run, trec.read_qrels):
        with pytest.raises(UserError, match=f"run: is {encoding[:6].upper()}, not UTF-8; save it as UTF-8"):
            read(tmp_path / "run")


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
