from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from grapebench.errors import UserError
from grapebench.export.model_card import metadata
from grapebench.leaderboard import store
from grapebench.leaderboard.results import Result

BOARD = store.published_dir()


def published(rewriter: str, task: str = "*") -> list[Result]:
    return [store.load(path.parent) for path in sorted(BOARD.glob(f"mini/{task}/*/{rewriter}/*/result.json"))]


def test_the_hub_reads_back_what_was_measured() -> None:
    results = published("grape")
    assert len({result.task for result in results}) == 5
    card = ModelCard(metadata(results, "someone/grape") + "\n# A card\n")
    assert card.data.model_name == "someone/grape"
    found = card.data.eval_results
    assert found is not None
    by_place = {(one.dataset_type, one.dataset_split, one.metric_type): one for one in found}
    assert len(by_place) == len(found)
    for result in results:
        one = by_place[f"grapebench/mini/{result.task}", result.split, "R@10"]
        assert one.metric_value == pytest.approx(result.metrics["R@10"], abs=1e-6)
        bounds = result.intervals["R@10"]
        assert one.metric_args == {"low": bounds.low, "high": bounds.high}
        assert one.dataset_revision == result.data.dataset and one.task_type == "text-to-image-retrieval"
        assert "suite mini" in one.dataset_name and one.dataset_args is not None
        assert one.dataset_args["results"] == [result.id] and one.dataset_args["benchmark"] == result.benchmark


def test_seeds_become_a_mean_with_its_deviation() -> None:
    results = published("hyde", "cirr")
    assert len(results) == 3
    found = ModelCard(metadata(results)).data.eval_results
    assert found is not None
    (one,) = (one for one in found if one.metric_type == "R@1")
    values = [result.metrics["R@1"] for result in results]
    assert one.metric_value == pytest.approx(sum(values) / 3, abs=1e-6)
    assert set(one.metric_args or {}) == {"low", "high", "deviation"}


def test_what_cannot_stand_in_one_card_is_refused(place: Path, make: Callable[..., Path]) -> None:
    two = [*published("grape", "cirr"), *published("llm", "cirr")]
    with pytest.raises(UserError, match="a model card is of one model, these results are of: grape, llm"):
        metadata(two)
    one = two[0]
    other = one.model_copy(update={"id": "0" * 16, "rewriter": one.rewriter.model_copy(update={"fingerprint": "0"})})
    with pytest.raises(UserError, match="are of cirr test1, and not seeds of one measurement; name those of one"):
        metadata([one, other])
    with pytest.raises(UserError, match="has no figures: the labels of cirr test1 are not public"):
        metadata([store.load(make("cirr", "test1"))])


def test_a_task_of_ones_own_has_its_name() -> None:
    (one,) = published("grape", "cirr")
    text = metadata([one.model_copy(update={"task": "my: [task]"})])
    found = ModelCard(text).data.eval_results
    assert found is not None and found[0].dataset_name == "my: [task] (grapebench, suite mini)"
