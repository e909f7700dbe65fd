from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from grapebench.leaderboard.results import Result, Seen, json_schema, result_id


def test_a_result_survives_the_file(make_result: Any) -> None:
    result = make_result()
    assert Result.model_validate_json(result.model_dump_json(indent=2)) == result


def test_the_id_is_the_hash_of_its_determinants(make_result: Any) -> None:
    result = make_result()
    shuffled = dict(reversed(list(result.determinants.items())))
    assert result.id == result_id(shuffled) and len(result.id) == 16
    assert result_id(result.determinants | {"seed": 1}) != result.id


def test_no_number_is_nan(make_result: Any) -> None:
    text = make_result().model_dump_json()
    with pytest.raises(ValidationError):
        Result.model_validate_json(text.replace('"ties":0.001', '"ties":NaN'))


def test_the_summary_line(make_result: Any) -> None:
    line = json.loads(json.dumps(make_result("llm", 0.5).summary()))
    wanted = {"schema_version", "suite", "task", "split", "retriever", "rewriter", "seed", "queries", "gallery"}
    assert wanted | {"metrics"} <= set(line)
    assert line["metrics"]["R@10"] == 0.5 and line["rewriter"] == "llm" and line["retriever"] == "mini-clip"


def test_every_field_is_described_in_the_schema() -> None:
    schema = json_schema()
    assert schema["additionalProperties"] is False
    for name, model in {"Result": schema, **schema["$defs"]}.items():
        for field, told in model["properties"].items():
            assert told.get("description"), f"{name}.{field} has no description"


def test_a_result_from_before_there_were_unlabelled_and_seen_ones_is_read(make_result: Any) -> None:
    old = json.loads(make_result().model_dump_json())
    for name in ("labelled", "seen", "groups"):
        del old[name]
    read = Result.model_validate(old)
    assert read.labelled and read.seen is None and read.groups == {}


def test_a_result_without_labels_has_no_figures(make_result: Any) -> None:
    empty = {name: {} for name in ("metrics", "metrics_before", "intervals", "deltas")}
    result = make_result(
        labelled=False, inflation=None, seen=Seen(images=3, gallery=9, sources=["cirr train"]), **empty
    )
    assert Result.model_validate_json(result.model_dump_json()) == result
    line = result.summary()
    assert line["labelled"] is False and line["metrics"] == {} and line["protocol"] == "composed"
    assert line["seen"] == {"images": 3, "gallery": 9, "sources": ["cirr train"]}
