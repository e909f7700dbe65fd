from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from grapebench.errors import UserError
from grapebench.training import journal
from grapebench.training.journal import LOG, SAMPLES, Entry, Figures, Sample, Step, Stop, Val

NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False)
COUNT = st.integers(0, 10**9)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = dict.fromkeys(Figures.model_fields, NUMBER)
STEPS = st.builds(
    Step, step=COUNT, task=TEXT, **{name: NUMBER for name in Step.model_fields if name not in ("kind", "step", "task")}
)
TASKS = st.dictionaries(TEXT, st.builds(Figures, **NUMBERS), max_size=3)
VALS = st.builds(Val, step=COUNT, seconds=NUMBER, tasks=TASKS, **NUMBERS)
ENTRIES = STEPS | VALS | st.builds(Stop, step=COUNT, reason=TEXT)
SAMPLE = st.builds(Sample, step=COUNT, task=TEXT, query_id=TEXT, query=TEXT, rewrite=TEXT, rank=st.integers(1, 10**9))


def a_step(number: int = 1, **other: object) -> Step:
    values = {name: 0.5 for name in Step.model_fields if name not in ("kind", "step", "task")}
    return Step(**({"step": number} | values | other))  # type: ignore[arg-type]


def a_val(number: int = 0, **other: object) -> Val:
    values = dict.fromkeys((*Figures.model_fields, "seconds"), 0.5)
    return Val(step=number, **(values | other))  # type: ignore[arg-type]


def a_sample(number: int = 0, rewrite: str = "a red dog") -> Sample:
    return Sample(step=number, query_id="q1", query="一只红色的狗", rewrite=rewrite, rank=3)


@settings(max_examples=30)
@given(st.lists(ENTRIES, max_size=5), st.lists(SAMPLE, max_size=5))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], samples: list[Sample]
) -> None:
    folder = tmp_path_factory.mktemp("training")
    for entry in entries:
        journal.append(folder, entry)
    journal.append_samples(folder, samples)
    assert journal.read(folder) == entries
    assert journal.read_samples(folder) == samples
    assert (folder / SAMPLES).read_bytes().count(b"\n") == len(samples)


def test_the_lines_as_others_read_them(tmp_path: Path) -> None:
    journal.append(tmp_path, a_val(fact_survival=None), a_step(7, kl=None), Stop(step=7, reason="finished"))
    val, step, stop = map(json.loads, (tmp_path / LOG).read_text().splitlines())
    assert val["kind"] == "val" and (val["R@1"], val["R@10"]) == (0.5, 0.5)
    assert "fact_survival" not in val and "recall_1" not in val
    assert step["kind"] == "step" and step["step"] == 7 and step["kl"] is None and step["rank_first"] == 0.5
    assert stop == {"kind": "stop", "step": 7, "reason": "finished"}
    journal.append(tmp_path, a_val(fact_survival=0.9))
    assert json.loads((tmp_path / LOG).read_text().splitlines()[-1])["fact_survival"] == 0.9


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), np.float64("inf")])
def test_what_is_not_finite_is_null(tmp_path: Path, value: float) -> None:
    journal.append(tmp_path, a_step(loss=value, kl=np.float32(0.25)))
    assert json.loads((tmp_path / LOG).read_text(), parse_constant=pytest.fail)["loss"] is None
    (read,) = journal.read(tmp_path)
    assert isinstance(read, Step) and read.loss is None and read.kl == 0.25


def test_a_record_takes_no_other_types() -> None:
    for wrong in ({"loss": "0.5"}, {"loss": True}, {"step": 1.5}, {"step": -1}, {"speed": 1.0}):
        with pytest.raises(ValidationError):
            a_step(**wrong)
    with pytest.raises(ValidationError):
        a_step().loss = 1.0  # type: ignore[misc]


def test_no_file_yet(tmp_path: Path) -> None:
    assert journal.read(tmp_path) == [] and journal.read_samples(tmp_path) == []
    journal.truncate(tmp_path, 3)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=30)
@given(st.data())
def test_a_torn_last_line_is_no_line(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("training")
    journal.append(folder, a_step(1), a_step(2))
    journal.append_samples(folder, [a_sample(1, "日本の城"), a_sample(2)])
    for name, read in ((LOG, journal.read), (SAMPLES, journal.read_samples)):
        whole = (folder / name).read_bytes()
        first = whole.index(b"\n") + 1
        (folder / name).write_bytes(whole[: data.draw(st.integers(first, len(whole) - 1))])
        assert [record.step for record in read(folder)] == [1]
    # What follows does not stick to the torn line.
    journal.truncate(folder, 1)
    journal.append(folder, a_step(2))
    journal.append_samples(folder, [a_sample(2)])
    assert [entry.step for entry in journal.read(folder)] == [1, 2]
    assert [sample.step for sample in journal.read_samples(folder)] == [1, 2]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "invalid JSON"),
        ("", "invalid JSON"),
        ("[1]", ""),
        ('{"kind": "pause", "step": 1}', "kind"),
        ('{"kind": "stop", "step": 1}', "reason: field required"),
        ('{"kind": "stop", "step": "1", "reason": ""}', "step: input should be a valid integer"),
        ('{"kind": "stop", "step": 1, "reason": "", "why": 1}', "why: extra inputs are not permitted"),
        ('{"kind": "val", "step": 1}', "R@1: field required"),
    ],
)
def test_any_other_broken_line_is_told(tmp_path: Path, line: str, said: str) -> None:
    journal.append(tmp_path, a_step(1))
    with (tmp_path / LOG).open("a") as file:
        file.write(line + "\n")
    journal.append(tmp_path, a_step(2))
    before = (tmp_path / LOG).read_bytes()
    for reading in (lambda: journal.read(tmp_path), lambda: journal.truncate(tmp_path, 1)):
        with pytest.raises(UserError) as caught:
            reading()
        assert caught.value.file == tmp_path / LOG and caught.value.line == 2 and said in str(caught.value)
    assert (tmp_path / LOG).read_bytes() == before
    with (tmp_path / SAMPLES).open("w") as file:
        file.write('{"step": 1, "query_id": "q", "query": "q", "rewrite": "r", "rank": 0}\n')
    with pytest.raises(UserError, match="samples.jsonl:1: rank: input should be greater than or equal to 1"):
        journal.read_samples(tmp_path)


@settings(max_examples=30)
@given(st.lists(ENTRIES, max_size=8), st.lists(SAMPLE, max_size=8), COUNT)
def test_cut_back_to_a_step(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], samples: list[Sample], step: int
) -> None:
    folder = tmp_path_factory.mktemp("training")
    journal.append(folder, *entries)
    journal.append_samples(folder, samples)
    for _ in range(2):
        journal.truncate(folder, step)
        assert journal.read(folder) == [one for one in entries if one.step <= step and not isinstance(one, Stop)]
        assert journal.read_samples(folder) == [one for one in samples if one.step <= step]
    assert sorted(path.name for path in folder.iterdir()) == [LOG, SAMPLES]


def test_lines_that_stay_keep_their_bytes(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text('{"step":1,  "kind":"stop","reason":"x"}\n{"kind":"stop","step":9,"reason":"x"}\n')
    journal.append(tmp_path, a_step(2))
    kept = (tmp_path / LOG).read_bytes().splitlines(keepends=True)[2]
    journal.append(tmp_path, a_step(4))
    journal.truncate(tmp_path, 2)
    assert (tmp_path / LOG).read_bytes() == kept


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or directory"):
        journal.append(tmp_path / "none", a_step())
