"""The pictures are a part of the data: models are trained on them, so no pixel may change by accident."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.world import drawing, shapes
from grapebench.world.content import BACKGROUNDS, COLOURS, SHAPES, SIZES, TEXTURES, Scene, Thing

PAIR = Scene((Thing("lantern", "red", "large", "plain"), Thing("fish", "blue", "small", "striped")), (0, 1), "sky")
THREE = Scene(
    (
        Thing("kite", "white", "small", "dotted"),
        Thing("drum", "green", "large", "checked"),
        Thing("star", "black", "small", "plain"),
    ),
    (3, 1, 2),
    "night",
)
FOUR = Scene(
    (
        Thing("pagoda", "orange", "large", "striped"),
        Thing("moon", "turquoise", "small", "checked"),
        Thing("teapot", "grey", "large", "dotted"),
        Thing("house", "brown", "small", "plain"),
    ),
    (2, 3, 0, 1),
    "snow",
)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    names = draw(st.lists(st.sampled_from(SHAPES), min_size=2, max_size=4, unique=True))
    of = lambda values: draw(st.sampled_from(values))  # noqa: E731
    things = tuple(Thing(name, of(COLOURS), of(SIZES), of(TEXTURES)) for name in names)
    return Scene(things, tuple(draw(st.permutations(range(4)))[: len(names)]), of(BACKGROUNDS))


def changed(scene: Scene, **values: str) -> Scene:
    """The scene with other attributes of its first thing."""
    return dataclasses.replace(scene, things=(dataclasses.replace(scene.things[0], **values), *scene.things[1:]))


def rgb_distance(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("scene", "digest"),
    [
        (PAIR, "d8c270cb2dd02036c44132882dcda103c3935259e9665ab6a388b98d96bf45ec"),
        (THREE, "031f873127d3c1826ad5e8e8cf34807d32f450d2f546ba5df76c0c4557e2c607"),
        (FOUR, "adbae4ba6d455d30227e09754b07209661f20a788cdfdc3b0eaec155c81e8a3e"),
    ],
)
def test_the_pixels_of_known_scenes_never_change(scene: Scene, digest: str) -> None:
    assert hashlib.sha256(drawing.draw(scene).tobytes()).hexdigest() == digest


def test_the_masks_of_all_shapes_never_change() -> None:
    total = hashlib.sha256()
    for shape, size in itertools.product(SHAPES, SIZES):
        masks = shapes.masks(shape, size)
        for mask in (masks.body, masks.detail, masks.outline):
            total.update(mask.tobytes())
    assert total.hexdigest() == "1f5546772b85968fc9f578a38a51f0562b2a19fa505ccfda0388d7f30cb82d8b"


def test_every_texture_colour_and_background_never_changes() -> None:
    total = hashlib.sha256()
    for background, colour, texture in itertools.product(BACKGROUNDS, COLOURS, TEXTURES):
        things = (Thing("circle", colour, "large", texture), Thing("umbrella", colour, "small", texture))
        total.update(drawing.draw(Scene(things, (0, 2), background)).tobytes())
    assert total.hexdigest() == "080b35c7ce02e8469f947a81ca91a22527ae4cd0f7dde3440b3297146e18ecd7"


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_a_picture_depends_on_what_stands_where_and_on_nothing_else(scene: Scene) -> None:
    picture = drawing.draw(scene)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    backwards = Scene(scene.things[::-1], scene.cells[::-1], scene.background)
    assert np.array_equal(picture, drawing.draw(backwards))


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_each_thing_stays_in_its_cell(scene: Scene) -> None:
    picture = drawing.draw(scene)
    free = np.ones((64, 64), dtype=bool)
    for cell in scene.cells:
        row, column = divmod(cell, 2)
        free[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = False
    ground = drawing.draw(Scene((), (), scene.background))
    rolled = [np.roll(ground, shift, axis=1) for shift in range(64)]
    assert any(np.array_equal(picture[free], other[free]) for other in rolled)
    for cell in scene.cells:
        row, column = divmod(cell, 2)
        inside = np.s_[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
        assert all((picture[inside] != other[inside]).any() for other in rolled)


@pytest.mark.parametrize("other", [{"shape": "gourd"}, {"colour": "blue"}, {"size": "small"}, {"texture": "dotted"}])
def test_each_attribute_shows(other: dict[str, str]) -> None:
    cell = np.s_[:32, :32]
    before, after = drawing.draw(PAIR)[cell].astype(int), drawing.draw(changed(PAIR, **other))[cell].astype(int)
    assert (np.abs(before - after).max(axis=-1) > 40).sum() > 60


@pytest.mark.parametrize("texture", TEXTURES[1:])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_texture_covers_enough_of_a_shape_to_be_seen_and_leaves_its_colour(
    shape: str, size: str, texture: str
) -> None:
    _, weights = drawing._layers(shape, size, texture)
    plain, marked = weights[..., 1].sum(), weights[..., 2].sum()
    assert 0.2 < marked / (plain + marked) < 0.6


def test_scenes_of_equal_things_in_other_cells_differ_in_place_and_tone() -> None:
    tones = set()
    for cell in range(4):
        picture = drawing.draw(Scene((Thing("square", "grey", "large", "plain"),), (cell,), "wall"))
        row, column = divmod(cell, 2)
        tones.add(tuple(int(v) for v in picture[32 * row + 16, 32 * column + 16]))
    assert len(tones) > 1
    assert all(max(abs(v - w) for v, w in zip(tone, drawing.RGB["grey"], strict=True)) <= 8 for tone in tones)


@pytest.mark.parametrize("size", SIZES)
def test_no_two_shapes_are_alike(size: str) -> None:
    for one, two in itertools.combinations(SHAPES, 2):
        a, b = shapes.masks(one, size).body, shapes.masks(two, size).body
        assert (a & b).sum() / (a | b).sum() < 0.85, (one, two)


@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_are_far_apart_and_masks_never_overlap(shape: str) -> None:
    for size in SIZES:
        masks = shapes.masks(shape, size)
        assert not (masks.detail & ~masks.body).any()
        assert not (masks.outline & masks.body).any()
        rim = np.ones_like(masks.body)
        rim[shapes.SUPERSAMPLING : -shapes.SUPERSAMPLING, shapes.SUPERSAMPLING : -shapes.SUPERSAMPLING] = False
        assert not (masks.body & rim).any(), "the outline would be cut off"
    small, large = (shapes.masks(shape, size).body for size in ("small", "large"))
    assert large.sum() > 3 * small.sum()
    assert large.any(axis=1).sum() > 1.6 * small.any(axis=1).sum()


def test_colours_are_far_apart_and_seen_on_every_background() -> None:
    for one, two in itertools.combinations(COLOURS, 2):
        assert rgb_distance(drawing.RGB[one], drawing.RGB[two]) > 60**2, (one, two)
    for background in BACKGROUNDS:
        ground = drawing.draw(Scene((), (), background)).astype(int)
        outline = np.array(drawing.LIGHT if background == "night" else drawing.DARK)
        usual = np.median(ground.reshape(-1, 3), axis=0)
        assert np.abs(usual - outline).max() > 100, background
    assert {tuple(drawing.RGB)} == {COLOURS}


def test_a_cached_mask_or_background_is_not_drawn_upon() -> None:
    first = drawing.draw(FOUR)
    drawing.draw(PAIR)[:] = 0
    drawing.draw(dataclasses.replace(FOUR, cells=(0, 1, 2, 3)))
    assert np.array_equal(first, drawing.draw(FOUR))


def test_png_is_lossless() -> None:
    image = pytest.importorskip("PIL.Image")
    picture = drawing.draw(THREE)
    assert np.array_equal(np.asarray(image.open(io.BytesIO(drawing.png(picture)))), picture)


@pytest.mark.parametrize("missing", ["colour", "size", "texture"])
def test_a_thing_with_something_left_out_is_refused(missing: str) -> None:
    things = (dataclasses.replace(PAIR.things[0], **{missing: None}), PAIR.things[1])
    with pytest.raises(UserError, match="lantern"):
        drawing.draw(dataclasses.replace(PAIR, things=things))
