from __future__ import annotations

import pytest

from grapebench import catalog
from grapebench.datasets import load_task
from grapebench.records import Rewrite
from grapebench.rewriters.oracle import read_captions
from grapebench.world.survival import shown, survival


def test_what_survives_is_counted_over_all_texts() -> None:
    task = load_task(catalog.task_card("cirr").card, "mini", "val", None)
    facts = shown(task, task.queries[:3])
    assert facts is not None and len(facts) == 3
    captions = read_captions(task.root / "oracle.jsonl")
    whole = [Rewrite(query.id, texts=(captions[query.positives[0]],)) for query in task.queries[:3]]
    assert survival(facts, whole) == 1
    empty = [Rewrite(one.query_id, texts=("nothing",)) for one in whole]
    assert survival(facts, empty) == 0
    half = [Rewrite(one.query_id, texts=(*one.texts, "nothing")) for one in whole]
    assert survival(facts, half) == pytest.approx(0.5)
