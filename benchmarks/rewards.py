"""What the reward of a training step costs: its share of a step, and how it grows with the images that it ranks.

    python benchmarks/rewards.py

First mini-lm is trained for some steps as `grapebench train grape` does it, on the miniature's flickr30k-cn with images
made up beside its own, so that each step draws a pool of 5,000. Encoding the attempts' texts stands apart: it is the
retriever's work, which nothing that looks at vectors can do without.

Then 128 attempts in groups of 8 are ranked among ever more random images, beside the bare float32 product of the same
matrices. Every repetition runs every method in turn, so that a busy moment of the machine hits all of them. The time of
the processor is told beside that of the clock: others who use the machine change it less.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ranking import bare_numpy, unit

from grapebench.records import Gallery, Query
from grapebench.retrieval.ranking import count_ranks, examine
from grapebench.rewards import pool as pools
from grapebench.rewards.reward import Judge, Recipe

GROUPS, GROUP = 16, 8
IMAGES = 10_000
"""Of the corpus that a step's pool is drawn from."""
WARM = 2
"""Steps before any is timed."""
Seconds = tuple[float, float]
"""Of the processor, all threads together, and of the clock."""


class Stopwatch:
    """Seconds of wrapped methods, call by call."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[Seconds]] = defaultdict(list)

    def wrap(self, owner: Any, name: str) -> None:
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = now()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name].append(since(start))

        setattr(owner, name, timed)


def now() -> Seconds:
    return time.process_time(), time.perf_counter()


def since(start: Seconds) -> Seconds:
    processor, clock = now()
    return processor - start[0], clock - start[1]


def with_more_images(pool: pools.Pool) -> pools.Pool:
    """The pool's corpus and images made up, `IMAGES` together."""
    more = IMAGES - len(pool.gallery)
    gallery = Gallery((*pool.gallery.ids, *(f"made up {number}" for number in range(more))), pool.gallery.images)
    rows = unit(np.random.default_rng(0), more, pool.images.shape[1])
    return replace(pool, gallery=gallery, images=np.concatenate([pool.images, rows]))


def step(steps: int, size: int) -> None:
    """The share of the reward in a step, medians over the steps."""
    from grapebench.training import config, grape, material, watching

    watch, begun = Stopwatch(), now()
    watch.wrap(Judge, "__call__")
    watch.wrap(Judge, "_encoded")
    begin, log, made = watching.Watcher.on_step_begin, watching.Watcher.on_log, pools.Pool

    def on_step_begin(*args: Any, **kwargs: Any) -> None:
        nonlocal begun
        begun = now()
        begin(*args, **kwargs)

    def on_log(self: Any, args: Any, state: Any, control: Any, logs: Any = None, **given: Any) -> None:
        if "loss" in logs:
            watch.seconds["step"].append(since(begun))
        log(self, args, state, control, logs, **given)

    watching.Watcher.on_step_begin, watching.Watcher.on_log = on_step_begin, on_log  # type: ignore[method-assign]
    pools.Pool = lambda *given: with_more_images(made(*given))  # type: ignore[assignment,misc]
    total = WARM + steps
    values = {"task": "flickr30k-cn", "steps": total, "batch": GROUPS, "group": GROUP, "pool": size, "headroom": 0}
    settings = config.fill(values | {"val_every": total, "save_every": total, "val_queries": 8})
    with tempfile.TemporaryDirectory() as folder:
        grape.train(material.find(settings, None), Path(folder) / "out", lambda *_: None)
    found = {name: np.median(np.array(seconds)[WARM:], axis=0) for name, seconds in watch.seconds.items()}
    reward, encoding = found["__call__"], found["_encoded"]
    lines = {
        "a step": found["step"],
        "encoding the attempts": encoding,
        "**the reward beside that**": reward - encoding,
        "both": reward,
    }
    print(f"\n### A step of {GROUPS * GROUP} attempts with mini-lm, a pool of {size:,}, median of {steps} steps\n")
    print("| | processor, ms | share | clock, ms | share |\n|---|---|---|---|---|")
    for name, seconds in lines.items():
        shares = seconds / found["step"]
        cells = [f"{1e3 * one:.1f} | {100 * share:.1f} %" for one, share in zip(seconds, shares, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


class Given:
    """A retriever whose texts are places in a table of vectors."""

    fingerprint, description = "given", {"model": "given"}

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def encode_texts(self, texts: Any) -> np.ndarray:
        return self.vectors[[int(text.split()[-1]) for text in texts]]


def growth(size: int, dimension: int, repetitions: int) -> None:
    rng = np.random.default_rng(size)
    images = unit(rng, size, dimension)
    targets = rng.choice(size, GROUPS, replace=False).repeat(GROUP)
    vectors = unit(rng, len(targets), dimension)
    vectors += rng.uniform(0, 0.4, (len(targets), 1)).astype(np.float32) * images[targets]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nothing: Any = None
    gallery = Gallery(tuple(map(str, range(size))), nothing)
    queries = [Query(f"q{target}", "a query", (str(target),)) for target in targets]
    answers = [f"an attempt at number {place}" for place in range(len(targets))]
    retriever: Any = Given(vectors)
    judge = Judge(Recipe(), pools.Pool(gallery, images), retriever)
    columns = [np.array([target]) for target in targets]
    widths = dict.fromkeys(min(size, width) for width in (4096, 16384, 65536, 262144))
    methods: dict[str, Callable[[], object]] = {
        f"bare numpy, {len(vectors)} x {width}": bare_numpy(vectors, images, len(vectors), width) for width in widths
    }
    bare = list(methods)
    methods |= {
        "count_ranks, of a gallery not measured before": lambda: count_ranks(vectors, images, columns),
        "examine, similarities of all attempts": lambda: examine(vectors, images, columns),
        "**the reward: rank-linear, form, log**": lambda: judge(answers, queries, 0),
    }
    for method in methods.values():
        method()
    times: dict[str, list[Seconds]] = defaultdict(list)
    for repetition in range(repetitions):
        for name, method in methods.items():
            start = now()
            method()
            times[name].append(since(start))
        print(f"  {repetition + 1}/{repetitions} at {size:,}", file=sys.stderr)
    found = {name: np.median(np.array(seconds), axis=0) for name, seconds in times.items()}
    least = np.min([found[name] for name in bare], axis=0)
    print(f"\n### {len(vectors)} attempts against {size:,} x {dimension}, median of {repetitions}\n")
    print("| method | processor, ms | ratio | clock, ms | ratio |\n|---|---|---|---|---|")
    for name, seconds in found.items():
        cells = [f"{1e3 * one:.0f} | {one / unit_:.2f}" for one, unit_ in zip(seconds, least, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12, help="of the training that are timed; 0 leaves it out")
    parser.add_argument("--pool", type=int, default=5_000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[30_000, 300_000, 1_000_000])
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    print(f"numpy {np.__version__}, Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    for size in arguments.sizes:
        growth(size, arguments.dimension, arguments.repetitions)
    if arguments.steps:
        step(arguments.steps, arguments.pool)


if __name__ == "__main__":
    main()
