from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from grapebench.world import content
from grapebench.world.scenes import SPLITS, observe, random_scene, sample, split_of

SEEDS = st.integers(0, 2**32)


def test_the_world_has_what_it_promises() -> None:
    assert len(content.SHAPES) == len(set(content.SHAPES)) >= 16
    assert len(content.CULTURE_SHAPES) >= 6
    assert len(content.COLOURS) == len(set(content.COLOURS)) >= 12


@given(SEEDS, st.booleans())
def test_scenes_are_well_formed(seed: int, culture: bool) -> None:
    scene = random_scene(random.Random(seed), culture=culture)
    assert 2 <= len(scene.things) <= 4
    assert len({thing.shape for thing in scene.things}) == len(scene.things) == len(set(scene.cells))
    assert scene.cells[0] + scene.cells[1] != 3, "the first two stand on a diagonal"
    assert not culture or scene.things[0].shape in content.CULTURE_SHAPES


def test_no_scene_is_in_two_splits() -> None:
    rng = random.Random(0)
    facts = {
        split: {scene.content().facts() for scene in itertools.islice(sample(lambda: random_scene(rng), split), 400)}
        for split in SPLITS
    }
    assert all(len(found) == 400 for found in facts.values()), "a scene came twice"
    for one, other in itertools.combinations(facts.values(), 2):
        assert not one & other


def test_the_split_does_not_depend_on_the_order_of_the_things() -> None:
    scene = random_scene(random.Random(3), sizes=(3,))
    one, two, three = scene.things
    a, b, c = scene.cells
    turned = content.Scene((two, one, three), (b, a, c), scene.background)
    assert turned.content().facts() == scene.content().facts()
    assert split_of(turned) == split_of(scene)


@given(SEEDS)
def test_an_annotator_says_nothing_false(seed: int) -> None:
    rng = random.Random(seed)
    scene = random_scene(rng)
    assert observe(scene, rng).facts() <= scene.content().facts()
