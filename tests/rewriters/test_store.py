from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.records import Fusion, Query, Rewrite
from grapebench.rewriters import store as module
from grapebench.rewriters.store import RewriteStore, all_answers, query_key, rewrite_all
from tests.rewriters.asked import QUERIES, Upper, loaded

TEXT = st.text(max_size=8)


class Says(Upper):
    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.said = answers

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Any]:
        yield from self.said


@given(
    texts=st.lists(TEXT, max_size=3),
    images=st.lists(TEXT, max_size=2),
    vectors=st.lists(st.lists(st.floats(-1, 1), max_size=3), max_size=2),
    weights=st.lists(st.floats(-1, 1), max_size=3),
    fusion=st.sampled_from(get_args(Fusion)),
    raw=st.none() | TEXT | st.just("mean"),
    fallback=st.none() | TEXT | st.just("mean"),
    tokens=st.integers(0, 10**6),
    money=st.floats(0, 100),
    trace=st.dictionaries(TEXT, TEXT, max_size=2),
)
def test_what_is_put_is_found(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    images: list[str],
    vectors: list[list[float]],
    weights: list[float],
    fusion: Fusion,
    raw: str | None,
    fallback: str | None,
    tokens: int,
    money: float,
    trace: dict[str, str],
) -> None:
    parts = (tuple(texts), tuple(images), tuple(map(tuple, vectors)), tuple(weights))
    rewrite = Rewrite("", *parts, fusion, raw, fallback, tokens, tokens, money, trace)
    with RewriteStore(tmp_path_factory.getbasetemp() / "law.sqlite") as store:
        store.put("f", {"k": rewrite})
        assert store.lookup("f", ["k", "other"]) == {"k": rewrite}
        assert store.lookup("g", ["k"]) == {}


def test_more_keys_than_one_question_holds(store: RewriteStore) -> None:
    store.put("f", {str(n): Rewrite("", (str(n),)) for n in range(1300)})
    found = store.lookup("f", [str(n) for n in range(1500)])
    assert len(found) == 1300 and found["1299"].texts == ("1299",)


def test_answers_come_in_query_order_and_only_once(store: RewriteStore) -> None:
    first, second = Upper(), Upper()
    calls: list[tuple[int, int]] = []
    answers = rewrite_all(loaded(first), QUERIES[:6], store, 0)
    assert [(answer.query_id, answer.texts) for answer in answers] == [(q.id, (q.text.upper(),)) for q in QUERIES[:6]]
    again = rewrite_all(loaded(second), QUERIES, store, 0, lambda *call: calls.append(call))
    assert again[:6] == answers
    assert second.asked == ["6", "7", "8", "9"]
    assert calls == [(6, 10), (7, 10), (8, 10), (9, 10), (10, 10)]
    third = Upper()
    rewrite_all(loaded(third), QUERIES, store, 5)
    assert third.asked == [], "a greedy rewriter has no seed"


def test_equal_questions_are_asked_once_unless_sampled(store: RewriteStore) -> None:
    twins = [Query("a", "same"), Query("b", "same"), Query("c", "same", language="de")]
    greedy, sampled, reseeded = Upper(), Upper(), Upper()
    assert [answer.query_id for answer in rewrite_all(loaded(greedy), twins, store, 0)] == ["a", "b", "c"]
    assert greedy.asked == ["a", "c"]
    rewrite_all(loaded(sampled, sampled=True), twins, store, 0)
    rewrite_all(loaded(reseeded, sampled=True), twins, store, 1)
    assert sampled.asked == reseeded.asked == ["a", "b", "c"]


def test_a_rewriter_is_asked_without_the_source(store: RewriteStore) -> None:
    """It is no part of the key, so it may not change an answer."""

    class Telling(Upper):
        def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
            return (Rewrite(query.id, (f"{query.text} of {query.source!r}",)) for query in queries)

    (answer,) = rewrite_all(loaded(Telling(), sampled=True), [Query("a", "x", source="article")], store, 0)
    assert answer.texts == ("x of ''",)


def test_every_field_that_decides_is_in_the_key() -> None:
    base = Query("a", "x")
    others = [Query("a", "y"), Query("a", "x", language="de"), Query("a", "x", reference="r"),
              Query("a", "x", reference_caption="c")]  # fmt: skip
    for sampled in (False, True):
        keys = [query_key(loaded(Upper(), sampled), query, 0) for query in (base, *others)]
        assert len(set(keys)) == 5
    renamed = Query("b", "x", positives=("p",))
    assert query_key(loaded(Upper(), True), replace(base, source="article"), 0) == query_key(
        loaded(Upper(), True), base, 0
    )
    assert query_key(loaded(Upper()), renamed, 1) == query_key(loaded(Upper()), base, 0)
    assert query_key(loaded(Upper(), True), renamed, 0) != query_key(loaded(Upper(), True), base, 0)


def test_the_time_an_answer_took_stays_with_it(store: RewriteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    class Slow(Upper):
        def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
            for seconds, rewrite in enumerate(super().rewrite(queries), 1):
                now[0] += seconds
                yield rewrite

    first = rewrite_all(loaded(Slow()), QUERIES[:3], store, 0)
    assert [rewrite.seconds for rewrite in first] == [3, 2, 1], "Upper answers from the last"
    again = rewrite_all(loaded(Slow()), QUERIES[:3], store, 0)
    assert [rewrite.seconds for rewrite in again] == [rewrite.seconds for rewrite in first]


def test_what_is_quick_is_not_stored(store: RewriteStore) -> None:
    rewrite_all(loaded(Upper(), stored=False), [QUERIES[0], QUERIES[0]], store, 0)
    assert not store.path.exists()


def test_a_missing_answer_falls_back_and_is_asked_for_again(store: RewriteStore) -> None:
    answers = rewrite_all(loaded(Upper(answers=8)), QUERIES, store, 0)
    assert [(a.texts, a.fallback) for a in answers[:3]] == [
        (("text 0",), "missing"), (("text 1",), "missing"), (("TEXT 2",), None)
    ]  # fmt: skip
    again = Upper()
    rewrite_all(loaded(again), QUERIES, store, 0)
    assert again.asked == ["0", "1"]


def test_a_failing_rewriter_keeps_what_it_gave(store: RewriteStore) -> None:
    with pytest.raises(UserError, match=r"asked\.py:\d+: rewriter 'mine' failed after 4 of 10 queries: OSError: no"):
        rewrite_all(loaded(Upper(4, OSError("no"))), QUERIES, store, 0)
    again = Upper()
    rewrite_all(loaded(again), QUERIES, store, 0)
    assert again.asked == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (("TEXT",), "gave a str; yield grapebench"),
        ((Rewrite("z", ("x",)),), "a query it was not asked: 'z'"),
        ((Rewrite("1", ("x",)), Rewrite("1", ("x",))), "answered query '1' twice"),
        ((Rewrite("1", "x"),), "query '1': texts must be a tuple of str, not 'x'"),  # type: ignore[arg-type]
        ((Rewrite("1", vectors=[(1.0,)]),), r"query '1': vectors must be a tuple of tuple, not \[\(1"),  # type: ignore[arg-type]
        ((Rewrite("1", ("x", "y"), weights=(1.0,)),), "query '1': 1 weights for 2 texts, images and vectors"),
    ],
)
def test_answers_that_do_not_fit(store: RewriteStore, answers: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        rewrite_all(loaded(Says(*answers)), QUERIES, store, 0)


def test_nothing_to_search_falls_back(store: RewriteStore) -> None:
    said = Says(
        Rewrite("0", (" ",)), Rewrite("1", ()), Rewrite("2", (), ("image",)), Rewrite("3", vectors=((1.0, 0.0),))
    )
    answers = rewrite_all(loaded(said), QUERIES[:4], store, 0)
    assert [(a.texts, a.fallback) for a in answers] == [
        (("text 0",), "empty"), (("text 1",), "empty"), ((), None), ((), None)
    ]  # fmt: skip
    again = Upper()
    assert rewrite_all(loaded(again), QUERIES[:4], store, 0) == answers
    assert again.asked == [], "nothing was the answer, and is not asked for again"


def test_a_failure_is_not_stored(store: RewriteStore) -> None:
    said = Says(Rewrite("0", ("text 0",), fallback="error 500"), Rewrite("1", ("text 1",), raw="", fallback="empty"))
    answers = rewrite_all(loaded(said), QUERIES[:2], store, 0)
    assert [answer.fallback for answer in answers] == ["error 500", "empty"]
    again = Upper()
    assert rewrite_all(loaded(again), QUERIES[:2], store, 0)[0].texts == ("TEXT 0",)
    assert again.asked == ["0"]


class Numbered(Upper):
    """Answers with the id that it was asked under."""

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        for answer in super().rewrite(queries):
            yield Rewrite(answer.query_id, (answer.query_id,), raw=answer.query_id)


def test_several_answers_to_each_query(store: RewriteStore) -> None:
    calls: list[tuple[int, int]] = []
    first = Numbered()
    progress = lambda *call: calls.append(call)  # noqa: E731
    answers = all_answers(loaded(first, sampled=True), QUERIES[:2], store, 0, 3, progress)
    assert [[answer.texts for answer in some] for some in answers] == [
        [("0",), ("0#1",), ("0#2",)], [("1",), ("1#1",), ("1#2",)]
    ]  # fmt: skip
    assert {answer.query_id for answer in answers[1]} == {"1"}
    assert calls == [(0, 2), (0, 2), (0, 2), (1, 2), (1, 2), (1, 2), (2, 2)], "a query is done with its last answer"
    more = Numbered()
    longer = all_answers(loaded(more, sampled=True), QUERIES[:2], store, 0, 4)
    assert [some[:3] for some in longer] == answers
    assert more.asked == ["0#3", "1#3"]
    fewer = Numbered()
    assert all_answers(loaded(fewer, sampled=True), QUERIES[1::-1], store, 0, 1) == [answers[1][:1], answers[0][:1]]
    assert fewer.asked == []


def test_several_answers_that_would_be_the_same_are_refused(store: RewriteStore) -> None:
    with pytest.raises(UserError, match="mine does not sample: 4 answers would be the same"):
        all_answers(loaded(Upper()), QUERIES, store, 0, 4)
    twins = [Query("a", "x"), Query("a#1", "y")]
    with pytest.raises(UserError, match="named like a sample of another"):
        all_answers(loaded(Upper(), sampled=True), twins, store, 0, 2)


def test_a_missing_sample_is_told(store: RewriteStore) -> None:
    (answers,) = all_answers(loaded(Upper(answers=1), sampled=True), QUERIES[:1], store, 0, 2)
    assert [answer.fallback for answer in answers] == ["missing", None]


def test_what_else_an_answer_depends_on_is_in_the_key(store: RewriteStore) -> None:
    class Looking(Upper):
        retriever = "one"

        def depends_on(self, queries: Sequence[Query]) -> list[str]:
            return [f"{self.retriever} {query.id}" for query in queries]

    looking = Looking()
    twins = [Query("a", "same"), Query("b", "same")]
    rewrite_all(loaded(looking), twins, store, 0)
    assert looking.asked == ["a", "b"]
    looking.asked = []
    rewrite_all(loaded(looking), twins, store, 0)
    assert looking.asked == []
    looking.retriever = "other"
    rewrite_all(loaded(looking), twins, store, 0)
    assert looking.asked == ["a", "b"]


def test_answers_that_cost_money_are_claimed(store: RewriteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from grapebench.rewriters import claims

    taken: list[int] = []
    take = claims.Claims.take

    def spy(self: claims.Claims, fingerprint: str, keys: Sequence[str]) -> list[str]:
        taken.append(len(keys))
        return take(self, fingerprint, keys)

    monkeypatch.setattr(claims.Claims, "take", spy)
    free = rewrite_all(loaded(Upper()), QUERIES[:2], store, 0)
    assert taken == []
    paid = Upper()
    paid.paid = True  # type: ignore[attr-defined]
    assert rewrite_all(loaded(paid), QUERIES, store, 0)[:2] == free
    assert paid.asked == [query.id for query in QUERIES[2:]] and taken == [8]
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    connection.close()
