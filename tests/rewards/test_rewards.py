"""Each reward against a brute force that sorts nothing and knows no library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import registry
from grapebench.errors import UserError
from grapebench.records import Gallery, Query
from grapebench.rewards.attempts import Attempts
from grapebench.rewards.form import Form, form, score
from grapebench.rewards.pool import Pool
from grapebench.rewards.reward import Judge, Recipe, as_trl, figures

NAMES = ["contrastive", "discount", "ndcg", "piecewise", "rank-linear", "rank-log", "reciprocal", "similarity", "tiers"]


@dataclass(frozen=True)
class Case:
    attempts: Attempts
    cosines: list[list[float]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A few attempts in a small pool; vectors of few directions, so that images tie."""
    pool, count = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    angles = st.sampled_from([n * math.pi / 4 for n in range(8)])

    def unit(number: int) -> np.ndarray:
        chosen = draw(st.lists(angles, min_size=number, max_size=number))
        return np.array([[math.cos(a), math.sin(a)] for a in chosen], np.float32)

    images, vectors = unit(pool), unit(count)
    positives, excluded = [], []
    for _ in range(count):
        order = draw(st.permutations(range(pool)))
        right = draw(st.integers(1, min(3, pool)))
        out = draw(st.integers(0, pool - right))
        positives.append(np.array(sorted(order[:right])))
        excluded.append(np.array(sorted(order[right : right + out]), np.int64))
    cosines = [
        [float(np.float32(float(v[0]) * float(i[0]) + float(v[1]) * float(i[1]))) for i in images] for v in vectors
    ]
    return Case(Attempts(vectors, images, positives, excluded), cosines)


def places(case: Case, row: int) -> tuple[float, int, list[int]]:
    """Middle rank of the best right image, number of candidates, and pessimistic ranks of all right images."""
    cosines, right = case.cosines[row], case.attempts.positives[row].tolist()
    out = set(case.attempts.excluded[row].tolist())
    others = [cosines[i] for i in range(len(cosines)) if i not in out and i not in right]
    best = max(cosines[i] for i in right)
    middle = 1 + sum(o > best for o in others) + sum(o == best for o in others) / 2
    ranks = []
    for n, one in enumerate(sorted((cosines[i] for i in right), reverse=True)):
        ranks.append(1 + n + sum(o >= one for o in others))
    return middle, len(cosines) - len(out), ranks


def by_hand(name: str, case: Case, row: int) -> float:
    middle, n, ranks = places(case, row)
    cosines, right = case.cosines[row], case.attempts.positives[row].tolist()
    if name == "rank-linear":
        return n - middle
    if name == "rank-log":
        return 1 - math.log(middle) / math.log(max(n - len(right) + 1, 2))
    if name == "reciprocal":
        return 1 / middle
    if name == "discount":
        return math.log(2) / math.log(1 + middle)
    if name == "piecewise":
        return 2 - (middle - 1) / 9 if middle <= 10 else 1 - (middle - 10) / 90
    if name == "tiers":
        return next(v for limit, v in ((1, 1.0), (5, 0.8), (10, 0.6), (50, 0.4)) if middle <= limit)
    if name == "ndcg":
        gain = sum(1 / math.log2(1 + rank) for rank in ranks if rank <= 10)
        return gain / sum(1 / math.log2(2 + i) for i in range(min(len(ranks), 10)))
    if name == "similarity":
        return max(cosines[i] for i in right)
    assert name == "contrastive"
    kept = [i for i in range(len(cosines)) if i not in case.attempts.excluded[row]]
    top = max(cosines[i] for i in kept)
    odds = {i: math.exp((cosines[i] - top) / 0.01) for i in kept}
    mine = sum(odds[i] for i in right)
    return math.log(mine / sum(odds.values())) if mine > 1e-300 else -math.inf


def test_every_reward_is_checked() -> None:
    assert registry.names("rewards") == NAMES


@pytest.mark.parametrize("name", NAMES)
@given(case=cases())
def test_against_brute_force(name: str, case: Case) -> None:
    found = registry.resolve("rewards", name)(case.attempts)
    assert found.shape == (len(case.cosines),)
    wanted = [by_hand(name, case, row) for row in range(len(case.cosines))]
    for one, other in zip(found, wanted, strict=True):
        # Beyond what a double holds the brute force has no logarithm left.
        assert one < -600 if other == -math.inf else one == pytest.approx(other, rel=1e-3, abs=1e-4)


@given(case=cases())
def test_rank_rewards_never_fall_when_a_rank_rises(case: Case) -> None:
    order = np.argsort(case.attempts.rank, kind="stable")
    same = case.attempts.candidates[order]
    for name in ("rank-linear", "rank-log", "reciprocal", "discount", "piecewise", "tiers"):
        values = registry.resolve("rewards", name)(case.attempts)[order]
        for before, after, n, m in zip(values, values[1:], same, same[1:], strict=False):
            assert n != m or before >= after


def test_options_shape_the_reward() -> None:
    images = np.eye(4, dtype=np.float32)
    vector = np.array([[0.8, 0.6, 0, 0]], np.float32)
    attempts = Attempts(vector, images, [np.array([1])], [np.array([3])])
    resolve: Callable[[str], Any] = lambda name: registry.resolve("rewards", name)  # noqa: E731
    assert resolve("rank-linear")(attempts).tolist() == [1.0]
    assert resolve("rank-linear")(attempts, normalised=True).tolist() == [0.5]
    assert resolve("ndcg")(attempts, k=1).tolist() == [0.0]
    assert resolve("tiers")(attempts, limits=(2,), values=(7.0,)).tolist() == [7.0]
    assert resolve("piecewise")(attempts, ranks=(1, 3), values=(1, 0)).tolist() == [0.5]


def gallery(count: int) -> Gallery:
    nothing: Any = None
    return Gallery(tuple(f"i{n}" for n in range(count)), nothing)


def unit_rows(rows: int, dimension: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    made: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True)
    return made


QUERIES = [
    Query("a", "t", ("i3",), excluded=("i0",), subset=("i3", "i5", "i7")),
    Query("b", "u", ("i4", "i9"), excluded=("i1",), subset=("i4", "i8")),
]


def test_the_whole_corpus_is_ranked_without_what_is_excluded() -> None:
    pool = Pool(gallery(30), unit_rows(30, 8, 0))
    attempts = pool.attempts(unit_rows(2, 8, 1), QUERIES, step=0)
    assert attempts.images is pool.images
    assert [columns.tolist() for columns in attempts.positives] == [[3], [4, 9]]
    assert attempts.candidates.tolist() == [29, 29]
    near = attempts.among_look_alikes
    assert near.candidates.tolist() == [3, 2]
    cosines = attempts.vectors @ pool.images.T
    assert near.rank[0] == 1 + (cosines[0, [5, 7]] > cosines[0, 3]).sum()


@given(size=st.integers(1, 40), step=st.integers(0, 5))
def test_a_sample_holds_the_right_images_and_changes_with_the_step(size: int, step: int) -> None:
    pool = Pool(gallery(40), unit_rows(40, 4, 0), size=size, seed=3)
    columns = pool.columns(QUERIES, step)
    assert (columns == pool.columns(QUERIES, step)).all() and (np.diff(columns) > 0).all()
    assert size <= len(columns) <= min(40, size + 7)
    if size < 40:
        assert {3, 4, 9, 5, 7, 8} <= set(columns.tolist())
    attempts = pool.attempts(unit_rows(2, 4, 1), QUERIES, step)
    for row, query in enumerate(QUERIES):
        assert {f"i{columns[place]}" for place in attempts.positives[row]} == set(query.positives)
        assert {f"i{columns[place]}" for place in attempts.excluded[row]} <= set(query.excluded)


def test_the_batch_alone() -> None:
    pool = Pool(gallery(40), unit_rows(40, 4, 0), size="batch")
    assert pool.columns(QUERIES, 0).tolist() == [3, 4, 5, 7, 8, 9]


class Letters:
    """A retriever whose vectors say which letters a text holds."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded += texts
        found = np.array([[text.count(letter) + 0.01 for letter in "abcd"] for text in texts], np.float32)
        made: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True)
        return made


def judge(recipe: Recipe) -> Judge:
    letters: Any = Letters()
    return Judge(recipe, Pool(Gallery(("a", "b", "c", "d"), None), np.eye(4, dtype=np.float32)), letters)  # type: ignore[arg-type]


def test_weights_and_form_add_up() -> None:
    recipe = Recipe({"rank-linear": 2.0, "reciprocal": 1.0}, form="add", form_weight=0.5, words=(1, 3))
    asked = [Query("q", "dd", ("a",))] * 3
    made = judge(recipe)(["aaa", "bb a", ""], asked, 0)
    # The first is right and well formed, the second ranks second, the third searches the query's own text.
    assert made.rank.tolist() == [1.0, 2.0, 3.0]
    assert made.form.tolist() == [1.0, 1.0, 0.25]
    wanted = [2 * 3 + 1 + 0.5, 2 * 2 + 0.5 + 0.5, 2 * 1 + 1 / 3 + 0.5 * 0.25]
    assert made.reward == pytest.approx(wanted)


def test_a_broken_form_replaces_the_reward() -> None:
    asked = [Query("q", "dd", ("a",))] * 3
    made = judge(Recipe({"rank-linear": 1.0}, form="replace", words=(1, 3)))(["bb a", "aaa " * 9, "aaa"], asked, 0)
    assert made.reward[1] < made.reward[0] < made.reward[2]
    alone = judge(Recipe({"rank-linear": 1.0}, form="off"))(["aaa " * 9], asked[:1], 0)
    assert alone.reward.tolist() == [3.0]


def test_look_alikes_count_with_their_weight() -> None:
    asked = [Query("q", "dd", ("a",), subset=("a", "c"))]
    made = judge(Recipe({"rank-linear": 1.0}, form="off", subset=10.0))(["bb a"], asked, 0)
    assert made.reward.tolist() == [2 + 10 * 1]


def test_a_text_is_encoded_once() -> None:
    judging = judge(Recipe())
    asked = [Query("q", "dd", ("a",))] * 3
    judging(["aaa", "aaa", "b"], asked, 0)
    judging(["b", "c", "aaa"], asked, 1)
    assert judging.retriever.encoded == ["aaa", "b", "c"]  # type: ignore[attr-defined]


def test_as_trl_takes_it() -> None:
    queries = {"q": Query("q", "dd", ("a",)), "r": Query("r", "dd", ("b",))}
    seen: dict[str, Any] = {}
    reward = as_trl(judge(Recipe(form="off")), queries)
    chat = [[{"role": "assistant", "content": "aaa"}], [{"role": "assistant", "content": "aaa"}]]
    found = reward(
        ["p", "p"], chat, ["q", "r"], positives=[["a"], ["b"]], log_metric=seen.__setitem__, log_extra=seen.__setitem__
    )
    # The image of the second ties with two others, and one is above it: the middle rank is 3.
    assert found == [3.0, 1.0]
    assert seen["rank"][0] == 1.0 and seen["rank/first"] == 0.5


def test_similarities_are_those_of_each_groups_first_attempt() -> None:
    asked = [Query("q", "dd", ("a",))] * 2 + [Query("r", "dd", ("b",))] * 3
    answers = ["aab", "b", "bbc", "a", "d"]
    judging = judge(Recipe(form="off"))
    made = judging(answers, asked, 0)
    vectors = judging.retriever.encode_texts(["aab", "bbc"])
    assert made.similarities.positive == pytest.approx([vectors[0, 0], vectors[1, 1]])
    assert made.similarities.others == pytest.approx([vectors[0, 1:].mean(), vectors[1, [0, 2, 3]].mean()])
    assert made.similarities.margin == pytest.approx([vectors[0, 0] - vectors[0, 1], vectors[1, 1] - vectors[1, 2]])
    told = figures(made)
    assert told["similarity/positive"] == pytest.approx(np.mean([vectors[0, 0], vectors[1, 1]]))
    # What is looked at changes nothing about what is given.
    alone = [judging([answer], [query], 0).reward[0] for answer, query in zip(answers, asked, strict=True)]
    assert made.reward.tolist() == alone


@given(data=st.data())
def test_look_alikes_are_ranked_as_if_all_others_were_excluded(data: st.DataObject) -> None:
    case = data.draw(cases())
    pool = len(case.attempts.images)
    columns = st.lists(st.integers(0, pool - 1), unique=True).map(lambda some: np.array(sorted(some), np.int64))
    subsets = [data.draw(columns) for _ in case.attempts.vectors]
    near = replace(case.attempts, subsets=subsets).among_look_alikes
    plain = replace(case.attempts, excluded=[np.setdiff1d(np.arange(pool), some) for some in subsets])
    assert near.rank.tolist() == plain.rank.tolist()
    assert near.candidates.tolist() == plain.candidates.tolist()
    assert [ranks.tolist() for ranks in near.positive_ranks] == [ranks.tolist() for ranks in plain.positive_ranks]
    similarity = registry.resolve("rewards", "similarity")
    assert similarity(near) == pytest.approx(similarity(plain), abs=1e-6)


def test_images_that_are_not_numbers_are_told() -> None:
    images = unit_rows(30, 8, 0)
    images[5] = np.nan
    with pytest.raises(UserError, match="gallery vector 5"):
        Pool(gallery(30), images, size=3).attempts(unit_rows(2, 8, 1), QUERIES, step=0)


def test_unknown_names_and_options_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown reward 'rank-linaer'; did you mean 'rank-linear'"):
        judge(Recipe({"rank-linaer": 1.0}))
    with pytest.raises(UserError, match="reward 'ndcg' has no option 'depth'; allowed are k"):
        judge(Recipe({"ndcg": 1.0}, {"ndcg": {"depth": 3}}))
    own = tmp_path / "mine.py"
    own.write_text("def mine(attempts, *, factor=1.0):\n    return factor * attempts.rank\n")
    name = f"{own}:mine"
    made = judge(Recipe({name: 1.0}, {name: {"factor": -2.0}}, form="off"))(["bb a"], [Query("q", "d", ("a",))], 0)
    assert made.reward.tolist() == [-4.0]


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("a red kite above a lamp", Form(True, True, True, 0.0)),
        ("", Form(False, False, False, 0.0)),
        ("kite", Form(True, False, True, 0.0)),
        ("红色的风筝 在 上面", Form(True, True, False, 0.0)),
        ("a kite a kite a kite", Form(True, True, True, 1 - 2 / 5)),
        ("I'm sorry, I cannot help", Form(False, False, False, 0.0)),
    ],
)
def test_the_form_of_an_answer(raw: str, wanted: Form) -> None:
    found = form(raw)
    assert (found.parseable, found.length, found.script) == (wanted.parseable, wanted.length, wanted.script)
    assert found.repetition == pytest.approx(wanted.repetition)


def test_the_form_scores_by_rules_kept() -> None:
    forms = [Form(True, True, True, 0.0), Form(True, True, True, 0.5), Form(False, False, False, 0.0)]
    assert score(forms, repetition=0.2).tolist() == [1.0, 0.75, 0.25]
    assert score([]).shape == (0,)


def test_an_echo_of_the_prompt_is_worth_what_the_query_is() -> None:
    made = judge(Recipe({"rank-linear": 1.0}, form="off"))
    asked = [Query("q", "dd", ("a",))] * 2
    assert made(["aaa aaa", "aaa"], asked, 0).usable.tolist() == [True, True]
    told = Judge(made.recipe, made.pool, made.retriever, instructions=("aaa aaa",))
    assert told(["aaa aaa", "aaa"], asked, 0).usable.tolist() == [False, True]
