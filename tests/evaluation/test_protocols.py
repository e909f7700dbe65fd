from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.evaluation.protocols import (
    PROTOCOLS,
    graded_images,
    protocol_named,
    require_categories,
    select_queries,
)
from grapebench.records import Dataset, Gallery, Query, Task

NO_IMAGES: Any = None


def test_headline_keys_in_the_order_in_which_they_are_shown() -> None:
    composed = ("R@1", "R@5", "R@10", "R@50", "R_subset@1", "R_subset@2", "R_subset@3")
    both_ways = ("R@1", "R@5", "R@10", "MRR", "i2t_R@1", "i2t_R@5", "i2t_R@10")
    assert {name: protocol.keys for name, protocol in PROTOCOLS.items()} == {
        "retrieval": both_ways,
        "categories": both_ways,
        "composed": (*composed, "MRR"),
        "graded": composed,
        "multilingual": both_ways,
        "first-caption": both_ways,
        "category-map": ("mAP", "i2t_mAP"),
    }
    assert [PROTOCOLS[name].miss for name in ("retrieval", "composed", "category-map")] == [11, 51, 1]


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(UserError, match="unknown protocol 'retreival'; known are retrieval, categories, composed"):
        protocol_named("retreival")


def captions(image: str, language: str, count: int) -> list[Query]:
    return [Query(f"{image}#{language}#{n}", "text", (image,), language) for n in range(1, count + 1)]


def test_first_caption_asks_one_query_of_each_image_and_language() -> None:
    queries = captions("b", "de", 3) + captions("a", "de", 2) + captions("b", "zh", 1) + captions("a", "zh", 2)
    asked = select_queries(PROTOCOLS["first-caption"], queries)
    assert [query.id for query in asked] == ["b#de#1", "a#de#1", "b#zh#1", "a#zh#1"]
    assert select_queries(PROTOCOLS["multilingual"], queries) == tuple(queries)
    hidden = [Query(query.id, query.text, language=query.language) for query in queries]
    assert select_queries(PROTOCOLS["first-caption"], hidden) == tuple(hidden), "nothing says which are of one image"


def test_graded_images() -> None:
    query = Query(
        "q", "t", ("a",), excluded=("r",), grades=(("a", 1.0), ("b", 0.5), ("c", -1.0), ("d", 0.0), ("r", 1.0))
    )
    assert graded_images(query) == {"a": 1.0, "b": 0.5}
    assert graded_images(Query("q", "t", ("a",))) == {"a": 1.0}, "the hard target"
    assert graded_images(Query("q", "t", ("a",), grades=(("b", -1.0),))) == {}, "graded, and nothing is right"


def test_categories_are_asked_for_where_they_are_needed() -> None:
    def task(query: str, images: tuple[str, ...]) -> Task:
        dataset = Dataset((Query("q", "t", ("a",), category=query),), Gallery(("a", "b"), NO_IMAGES, images))
        return Task("small", "full", "test", "condense", "category-map", 1, dataset, Path("root"))

    require_categories(PROTOCOLS["category-map"], task("art", ("art", "war")))
    require_categories(PROTOCOLS["retrieval"], task("", ()))
    for lacking in (task("", ("art", "war")), task("art", ())):
        with pytest.raises(UserError, match="category-map needs the category of every query and image, and small test"):
            require_categories(PROTOCOLS["category-map"], lacking)
