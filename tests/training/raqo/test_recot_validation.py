from __future__ import annotations

import pytest

from grapebench.records import Rewrite
from grapebench.training.raqo.validation import agreement, detection


def rewrite(number: int, **trace: str) -> Rewrite:
    return Rewrite(f"q-{number}", texts=("text",), trace=trace)


def test_what_is_said_of_detections() -> None:
    rewrites = [
        rewrite(0, concepts="a; b; c"),
        rewrite(1, concepts="None"),
        rewrite(2, undetected="empty"),
        rewrite(3, concepts="d"),
    ]
    assert detection(rewrites) == {"readable": 0.75, "none": 0.25, "concepts": 2.0}
    assert detection([rewrite(0, concepts="None")]) == {"readable": 1.0, "none": 1.0, "concepts": 0.0}
    assert detection([rewrite(0, undetected="refusal")]) == {"readable": 0.0, "none": 0.0, "concepts": 0.0}
    assert detection([rewrite(0), rewrite(1)]) is None


@pytest.mark.parametrize(
    ("trace", "known", "share"),
    [
        ({"concepts": "A; b"}, ["a", "B"], 1.0),
        ({"concepts": "a; x; y"}, ["a"], 0.5),
        ({"concepts": "a"}, ["b"], 0.0),
        ({"concepts": "None"}, [], 1.0),
        ({"concepts": "None"}, ["a"], 0.0),
        ({"undetected": "empty"}, [], 0.0),
        ({}, ["a"], None),
    ],
)
def test_agreement_is_f1(trace: dict[str, str], known: list[str], share: float | None) -> None:
    assert agreement([rewrite(0, **trace)], [{"query_id": "q-0", "concepts": known}]) == share


def test_agreement_is_a_mean() -> None:
    rows = [{"query_id": f"q-{number}", "concepts": ["a"]} for number in range(2)]
    assert agreement([rewrite(1, concepts="a"), rewrite(0, concepts="b")], rows) == 0.5
    assert agreement([], []) is None
