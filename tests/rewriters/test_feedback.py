from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.retrieval.searcher import Searcher
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.feedback import Feedback
from grapebench.rewriters.setup import Setup


def feedback(searcher: Searcher, k: int, weight: float) -> Feedback:
    made = Feedback(Feedback.Settings(k=k, weight=weight))
    made.attach(searcher)
    return made


@pytest.mark.parametrize(("k", "weight"), [(1, 0.5), (4, 2.0), (12, 1.0), (50, 1.0)])
def test_what_is_searched_is_that_of_brute_force(searcher: Searcher, k: int, weight: float) -> None:
    images = searcher.retriever.encode_images([name.encode() for name in searcher.gallery.ids], searcher.gallery.ids)
    queries = [
        Query(f"q{number}", f"text {number}", positives=("i3",), reference="i0", excluded=("i0", f"i{number + 1}"))
        for number in range(8)
    ]
    rewrites = list(feedback(searcher, k, weight).rewrite(queries))
    assert [rewrite.query_id for rewrite in rewrites] == [query.id for query in queries]
    for query, rewrite in zip(queries, rewrites, strict=True):
        own = searcher.retriever.encode_texts([query.text])[0]
        allowed = [name for name in searcher.gallery.ids if name not in query.excluded]
        best = sorted(allowed, key=lambda name: -float(images[searcher.gallery.index[name]] @ own))[:k]
        assert rewrite.texts == (query.text,)
        assert list(rewrite.images) == best
        assert len(rewrite.weights) == 1 + len(best)
        parts = np.stack([own, *(images[searcher.gallery.index[name]] for name in best)])
        expected = own + weight * parts[1:].mean(axis=0)
        np.testing.assert_allclose(np.asarray(rewrite.weights) @ parts, expected, atol=1e-6)


def test_positives_are_not_looked_at(searcher: Searcher) -> None:
    asked = [Query("q", "text", positives=(image,)) for image in ("i1", "i2")]
    left, right = (list(feedback(searcher, 3, 1.0).rewrite([query])) for query in asked)
    assert left == right


def test_without_a_gallery_it_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"looks at the retriever and the gallery.*call its attach\(searcher\)"):
        list(Feedback(Feedback.Settings()).rewrite([Query("q", "text")]))
    assert list(Feedback(Feedback.Settings()).rewrite([])) == []


def test_the_card_and_what_changes_an_answer(tmp_path: Path) -> None:
    loaded = open_rewriter("prf", Setup("mini", "compose", 0, tmp_path))
    assert (loaded.sampled, loaded.stored, loaded.oracle, loaded.captioner) == (False, False, False, None)
    prints = {Feedback(Feedback.Settings(k=k, weight=weight)).fingerprint for k in (1, 2) for weight in (0.5, 1.0)}
    assert len(prints) == 4
