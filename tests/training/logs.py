"""Logs as trainings write them, made up: healthy ones and ones that go wrong in a known way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grapebench.training.journal import Entry, Sample, Step, Stop, Val, append, append_samples

SCENES = [
    ("q17", "一只红色的小狗在一棵大树旁边", "a red dog beside a large tree"),
    ("q4", "两个蓝色的球在桌子下面", "two blue balls under a table"),
    ("q230", "the crimson hound next to an enormous oak", "a red dog beside a large tree"),
    ("q8", 'a <b>bold</b> & "quoted" wish', "a green car in front of a house"),
]


@dataclass(frozen=True)
class Course:
    """How a made-up training goes."""

    steps: int = 120
    every: int = 20
    """Steps between two validations."""
    seed: int = 0
    inflated: bool = False
    """Similarities rise together, recall falls after a while."""
    flat_from: int | None = None
    """From this step on most groups have no spread."""
    salad_from: int | None = None
    """From this step on the rewrites repeat themselves."""
    unusable_from: int | None = None
    """From this step on the outputs hold no rewrite."""


def step_at(number: int, course: Course) -> Step:
    noise = np.random.default_rng([course.seed, number])

    def near(value: float, spread: float) -> float:
        return float(value + noise.normal(0, spread))

    part = number / 120
    learnt = 1 - math.exp(-3 * part)
    salad = course.salad_from is not None and number >= course.salad_from
    flat = course.flat_from is not None and number >= course.flat_from
    lost = course.unusable_from is not None and number >= course.unusable_from
    positive, others, top = similarities(learnt, course)
    return Step(
        step=number,
        seconds=0.8,
        reward=near(0.35 + 0.5 * learnt, 0.02),
        reward_std=near(0.004 if flat else 0.2 - 0.1 * learnt, 0.002),
        flat_groups=min(1.0, max(0.0, 1.0 if flat else near(0.05 + 0.2 * learnt, 0.02))),
        kl=max(0.0, near(0.25 * learnt * (1 + part), 0.01)),
        entropy=near(1.4 - 0.7 * learnt, 0.03),
        length=near(26.0 if salad else 13 - 2 * learnt, 0.3),
        repetition=min(1.0, max(0.0, near(0.7 if salad else 0.02, 0.01))),
        unusable=min(1.0, max(0.0, near(0.8 if lost else 0.01, 0.01))),
        positive=near(positive, 0.004),
        others=near(others, 0.002),
        top_others=near(top, 0.004),
        margin=near(positive - top - 0.05, 0.004),
        rank_median=max(1.0, near(60 * math.exp(-4 * part), 1)),
        rank_first=min(1.0, max(0.0, near(0.1 + 0.5 * learnt, 0.03))),
        loss=near(0.02, 0.02),
        learning_rate=2e-4 * min(1.0, number / 20),
    )


def val_at(number: int, course: Course) -> Val:
    noise = np.random.default_rng([course.seed, number, 1])
    learnt = 1 - math.exp(-3 * number / 120)
    recall = 0.25 + 0.5 * learnt
    if course.inflated:
        recall = 0.25 + 0.2 * math.sin(math.pi * number / course.steps) - 0.2 * number / course.steps
    positive, others, top = similarities(learnt, course)
    return Val(
        step=number,
        recall_1=max(0.0, 0.45 * recall + float(noise.normal(0, 0.01))),
        recall_10=max(0.0, recall + float(noise.normal(0, 0.01))),
        positive=positive,
        others=others,
        top_others=top,
        margin=positive - top - 0.05,
        repetition=0.01 + (0.7 if course.salad_from is not None and number >= course.salad_from else 0),
        unusable=0.005,
        length=13 - 2 * learnt,
        fact_survival=0.8 + 0.1 * learnt,
        seconds=3.1,
    )


def similarities(learnt: float, course: Course) -> tuple[float, float, float]:
    """Mean cosines to the positive, all others and the most similar others."""
    if course.inflated:
        return 0.3 + 0.25 * learnt, 0.05 + 0.25 * learnt, 0.28 + 0.32 * learnt
    return 0.3 + 0.3 * learnt, 0.05 + 0.01 * learnt, 0.28 + 0.12 * learnt


def samples_at(number: int, course: Course) -> list[Sample]:
    noise = np.random.default_rng([course.seed, number, 2])
    made = []
    for query_id, query, aim in SCENES:
        words = aim.split()
        known = max(1, min(len(words), 2 + number * len(words) // max(1, course.steps)))
        rewrite = " ".join(words[:known]) or query
        made.append(
            Sample(
                step=number,
                query_id=query_id,
                query=query,
                rewrite=rewrite,
                rank=int(max(1, 150 * math.exp(-4 * number / 120) * noise.uniform(0.5, 2))),
            )
        )
    return made


def entries(course: Course = Course()) -> list[Entry]:
    """The log in the order in which a training writes it, without its stop."""
    made: list[Entry] = [val_at(0, course)]
    for number in range(1, course.steps + 1):
        made.append(step_at(number, course))
        if number % course.every == 0:
            made.append(val_at(number, course))
    return made


def write(folder: Path, course: Course = Course(), reason: str | None = "finished") -> Path:
    """A training's folder with log and samples; without a stop where there is no reason."""
    folder.mkdir(parents=True, exist_ok=True)
    append(folder, *entries(course), *([Stop(step=course.steps, reason=reason)] if reason else []))
    for number in range(0, course.steps + 1, course.every):
        append_samples(folder, samples_at(number, course))
    return folder
