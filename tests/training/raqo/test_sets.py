from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.training.raqo import page, sets, trials
from grapebench.training.raqo.sets import Tried, rejection, spread
from grapebench.training.raqo.settings_data import Data
from grapebench.training.raqo.trials import Bounds, Trial

SETTINGS = Data(unambiguous=5, ambiguous=10, drop=0.1, candidates=3, none_share=0.5)
BOUNDS = Bounds.of(SETTINGS, 0.8)


def trial(query: str, text: str, rank: int, cosine: float = 0.5, meaning: float | None = 1.0, **more: object) -> Trial:
    return Trial(query, text, rank=rank, cosine=cosine, meaning=meaning, **more)  # type: ignore[arg-type]


def tried() -> Tried:
    queries = [
        Query("hard", "schwer", ("i",), "de"),
        Query("once", "einmal", ("i",), "de", reference="r", reference_caption="a moon"),
        Query("never", "nie", ("i",), "de"),
        Query("easy", "a kite", ("i",), "en"),
        Query("plain", "a drum", ("i",), "en"),
        Query("between", "a fan", ("i",), "en"),
    ]
    raw = [trial("hard", "schwer", 90), trial("once", "einmal", 11), trial("never", "nie", 11)]
    raw += [trial("easy", "a kite", 1, 0.8), trial("plain", "a drum", 5), trial("between", "a fan", 6)]
    first = [
        trial("hard", "verdant tree", 40), trial("hard", "green tree", 2, 0.6), trial("hard", "tree", 7),
        trial("hard", "green tree", 2, 0.6), trial("hard", "big green tree", 1, 0.9),
        trial("hard", "tree green", 5, 0.7),
        trial("hard", "green", 3, 0.65), trial("hard", "moon", 1, 0.99, 0.1), Trial("hard", "", "empty"),
        trial("once", "verdant moon", 80), trial("once", "lemony moon", 12), trial("never", "verdant", 11),
    ]  # fmt: skip
    second = [trial("once", "green moon", 5, 0.4), trial("once", "verdant orb", 99), trial("never", "lemony", 11)]
    perturbed = [
        trial("easy", "a glider", 30, 0.7, concepts=("glider",)),
        trial("easy", "a kite thing", 1, 0.75, concepts=("thing",)),
        trial("plain", "a fish", 40, 0.1, 0.2, concepts=("fish",)),
    ]
    return Tried(queries, {one.query_id: one for one in raw}, [first, second], perturbed)


def test_the_sets_by_hand() -> None:
    made = tried()
    rows = sets.rows(made, sets.solved(made, BOUNDS, SETTINGS), BOUNDS, SETTINGS, 0)
    hard = {"query_id": "hard", "query": "schwer", "language": "de", "caption": "", "concepts": ["verdant"]}
    once = {"query_id": "once", "query": "einmal", "language": "de", "caption": "a moon"}
    once["concepts"] = ["verdant", "lemony"]  # type: ignore[assignment]
    rare = {"query_id": "easy~1", "query": "a glider", "language": "en", "caption": "", "concepts": ["glider"]}
    easy = {"query_id": "easy", "query": "a kite", "language": "en", "caption": "", "concepts": []}
    plain = {"query_id": "plain", "query": "a drum", "language": "en", "caption": "", "concepts": []}
    assert rows["ccr"][:2] == [hard, {**once, "concepts": rows["ccr"][1]["concepts"]}]
    assert rows["ccr"][2:] == [rare, easy, plain]
    assert "verdant" in rows["ccr"][1]["concepts"] and "moon" not in rows["ccr"][1]["concepts"]
    assert [(row["query_id"], row["rewrite"]) for row in rows["qre"]] == [
        ("hard", "big green tree"), ("once", "green moon"), ("easy~1", "a kite"),
    ]  # fmt: skip
    # Four distinct rewrites are kept, of which the best, the last and one between them are taken.
    assert rows["pro"] == [
        hard | {"rewrites": ["big green tree", "green", "green tree"], "rewards": [0.9, 0.65, 0.6]}
    ]  # fmt: skip
    for name, some in rows.items():
        assert all(tuple(row) == sets.COLUMNS[name] for row in some)


def test_outcomes() -> None:
    told = [BOUNDS.outcome(trial("q", "x", rank)) for rank in (1, 5, 6, 10, 11)]
    assert told == ["kept", "kept", "between", "between", "fails"]
    assert BOUNDS.outcome(trial("q", "x", 1, meaning=0.79)) == "drifts"
    assert BOUNDS.outcome(Trial("q", "", "refusal")) == "unusable"
    unjudged = Bounds.of(SETTINGS, None)
    assert unjudged.outcome(trial("q", "x", 1, meaning=None)) == "kept"
    assert not BOUNDS.keeps(trial("q", "x", 1, meaning=None)), "what should be judged and is not is not kept"


def test_why_rare_wordings_are_rejected() -> None:
    made = tried()
    assert [rejection(one, made, BOUNDS, SETTINGS) for one in made.perturbed] == ["kept", "too little", "drifts"]


def test_concepts_that_the_model_named() -> None:
    made = tried()
    named = Data(**SETTINGS.model_dump() | {"concepts": "named", "most_concepts": 2})
    first = [replace(one, concepts=()) if one.text == "big green tree" else one for one in made.rounds[0]]
    first = [replace(one, concepts=("x; y", "X", "z")) if one.text == "tree green" else one for one in first]
    solved = sets.solved(replace(made, rounds=[first, made.rounds[1]]), BOUNDS, named)
    assert [one.concepts for one in solved] == [("x", "y"), ()]
    rows = sets.rows(made, solved, BOUNDS, named, 0)
    assert [row["query_id"] for row in rows["ccr"] if row["concepts"]] == ["hard", "easy~1"], "not known is not None"
    assert [row["concepts"] for row in rows["qre"]] == [["x", "y"], [], ["glider"]]
    (_, _, _, entries), *_ = page.sections(made, solved, BOUNDS, named)
    assert [entry.concepts for entry in entries] == ["x; y", "no concept stands out"], "not None, either"


@pytest.mark.parametrize(("share", "nones"), [(0.0, 0), (0.25, 1), (0.4, 2), (0.9, 2)])
def test_the_share_of_none(share: float, nones: int) -> None:
    made, settings = tried(), Data(**SETTINGS.model_dump() | {"none_share": share})
    rows = sets.rows(made, sets.solved(made, BOUNDS, settings), BOUNDS, settings, 0)
    assert sum(not row["concepts"] for row in rows["ccr"]) == nones


@given(st.lists(st.integers(), max_size=30), st.integers(1, 9))
def test_a_spread_is_in_order_with_both_ends(some: list[int], most: int) -> None:
    found = spread(list(enumerate(some)), most)
    assert len(found) == min(most, len(some))
    assert found == sorted(found)
    if len(found) > 1:
        assert found[0][0] == 0 and found[-1][0] == len(some) - 1


def test_trials_are_read_as_they_were_written(tmp_path: Path) -> None:
    some = [one for part in (*tried().rounds, tried().perturbed) for one in part]
    some += [Trial("q", "a", concepts=(), unread="empty", prompt_tokens=3, seconds=0.25), Trial("q", "b", meaning=None)]
    for kept in (some, [], some[:1]):
        trials.write(tmp_path / "trials.parquet", kept)
        assert trials.read(tmp_path / "trials.parquet") == kept
    (tmp_path / "trials.parquet").write_text("no")
    with pytest.raises(UserError, match="trials.parquet"):
        trials.read(tmp_path / "trials.parquet")


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="ambiguous"):
        Data(unambiguous=5, ambiguous=4)
    assert Data(unambiguous=5, ambiguous=5).ambiguous == 5
