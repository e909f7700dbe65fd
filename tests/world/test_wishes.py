from __future__ import annotations

import itertools
import random

import pytest

from grapebench.world import english
from grapebench.world.content import Content, Thing
from grapebench.world.scenes import split_of
from grapebench.world.wishes import Change, apply, look_alikes, word_wish, word_wishes

KITE, DRUM = Thing("kite", "red", "small", "striped"), Thing("drum", "blue", "large")
BOTH = Content((KITE, DRUM), "left", "snow")


@pytest.fixture(scope="module")
def subsets() -> list:  # type: ignore[type-arg]
    return list(itertools.islice(look_alikes(random.Random(1), "val"), 60))


def test_six_different_members_of_one_split(subsets: list) -> None:  # type: ignore[type-arg]
    facts = [member.content().facts() for subset in subsets for member in subset.members]
    assert len(facts) == len(set(facts)) == 360
    assert {split_of(member) for subset in subsets for member in subset.members} == {"val"}


def test_every_wish_leads_to_the_next_member(subsets: list) -> None:  # type: ignore[type-arg]
    for subset in subsets:
        for i, wishes in enumerate(subset.wishes):
            content = subset.members[i].content()
            for wish in wishes:
                content = apply(wish, content)
            assert content.facts() == subset.members[(i + 1) % 6].content().facts()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            Change("colour", "kite", "green"),
            Content((Thing("kite", "green", "small", "striped"), DRUM), "left", "snow"),
        ),
        (Change("texture", "kite", "plain"), Content((Thing("kite", "red", "small"), DRUM), "left", "snow")),
        (Change("background", value="sand"), Content((KITE, DRUM), "left", "sand")),
        (Change("relation", "drum", "above", "kite"), Content((DRUM, KITE), "above", "snow")),
        (Change("remove", "kite"), Content((DRUM,), None, "snow")),
        (Change("shape", "drum", thing=Thing("fan")), Content((KITE, Thing("fan", "blue", "large")), "left", "snow")),
        (Change("add", "fan", thing=Thing("fan", "pink")), Content((KITE, DRUM, Thing("fan", "pink")), "left", "snow")),
        # Of something that the description does not mention:
        (Change("size", "fan", "large"), Content((KITE, DRUM, Thing("fan", None, "large")), "left", "snow")),
        (Change("remove", "fan"), BOTH),
        (Change("shape", "fan", thing=Thing("star")), Content((KITE, DRUM, Thing("star")), "left", "snow")),
        (Change("add", "drum", thing=Thing("drum", "pink")), BOTH),
    ],
)
def test_apply(change: Change, expected: Content) -> None:
    assert apply(change, BOTH) == expected


def test_wording() -> None:
    rng = random.Random(0)
    said = {word_wish(Change("remove", "kite"), english.CANONICAL, rng) for _ in range(50)}
    assert said == {"remove the kite", "without the kite", "take the kite away"}
    two = word_wishes((Change("remove", "kite"), Change("background", value="sand")), english.CANONICAL, rng)
    assert " and " in two and "kite" in two and "on the sand" in two
