"""A test split, asked as `grapebench run` asks it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from study import testing

from grapebench.evaluation import runner
from grapebench.leaderboard import store
from grapebench.retrieval import open_retriever
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.setup import Setup


def quiet(stage: str, done: int, total: int) -> None:
    pass


@pytest.mark.parametrize("name", ["xm3600", "cirr"])
def test_figures_are_those_of_a_run(name: str, tmp_path: Path) -> None:
    retriever = open_retriever(None, "mini")
    probe = testing.open_test(name, retriever, 30)
    assert len(probe.queries) == 30
    task = probe.task
    probe = replace(probe, queries=task.queries[:30], card="truncate")
    found = probe.figures(probe.rewriter({}), 0, quiet)
    setup = Setup("mini", task.family, 0, task.root, task=name)  # type: ignore[arg-type]
    folder = runner.run(
        task, open_rewriter("truncate", setup), retriever, retriever_name="mini-clip", setup=setup, into=tmp_path,
        command="", limit=30,
    )  # fmt: skip
    result = store.load(folder)
    assert {key: found[key] for key in ("R@1", "R@10")} == {key: result.metrics[key] for key in ("R@1", "R@10")}
    assert result.inflation is not None
    after = result.inflation.after.model_dump()
    assert {key: found[key] for key in after} == after
    assert len(found["ranks"]) == 30
    assert found["facts"] is not None


def test_queries_are_spread_over_the_split_and_weighted_as_their_languages_count() -> None:
    probe = testing.open_test("xm3600", open_retriever(None, "mini"), 500)
    pairing = probe.pairing()
    assert len(set(pairing["clusters"])) > 400
    look_alikes = testing.open_test("cirr", open_retriever(None, "mini"), 1000).pairing()
    assert (len(look_alikes["clusters"]), len(set(look_alikes["clusters"]))) == (1000, 170), "sets, not images"
    assert sum(pairing["weights"]) == pytest.approx(500)
    by_language: dict[str, float] = {}
    for query, weight in zip(probe.queries, pairing["weights"], strict=True):
        by_language[query.language] = by_language.get(query.language, 0.0) + weight
    assert list(by_language.values()) == pytest.approx([500 / len(by_language)] * len(by_language))


def test_captions_have_known_pairs_and_word_salad_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "CORPUS", 2000)
    testing._pairs.cache_clear()
    caption = "a large black house below a large brown tree on the water"
    assert testing.known_pairs([caption]) == 1
    assert testing.known_pairs([" ".join(sorted(caption.split()))]) < 0.5
    assert testing.known_pairs(["tree"]) == 1
    testing._pairs.cache_clear()
