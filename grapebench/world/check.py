"""Does the miniature keep its promises? The retriever on its own captions, the facts the language model keeps."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np

from grapebench.world import english
from grapebench.world.content import Scene
from grapebench.world.scenes import observe, random_scene, sample

SCENES = 1000
EXAMPLES = 600


def measure() -> dict[str, Any]:
    """Figures on scenes that neither model has seen; minutes on two cores."""
    return {"retriever": measure_retriever(), "language_model": measure_language_model()}


def measure_retriever(seed: int = 0) -> dict[str, dict[str, float]]:
    """R@1/5/10 of mini-clip over 1,000 unseen scenes, by how the captions are worded.

    'all' names every fact in the retriever's first words (what the oracle says), 'annotated' is what an annotator says
    of a scene in the words the retriever knows, 'people' the same in everybody's words.
    """
    from grapebench.evaluation.metrics import mean, success_at
    from grapebench.retrieval import open_retriever
    from grapebench.retrieval.ranking import count_ranks
    from grapebench.world.drawing import draw, png

    rng = random.Random(f"check/{seed}")
    endless = sample(lambda: random_scene(rng), "test")
    scenes: list[Scene] = [next(endless) for _ in range(SCENES)]
    retriever = open_retriever("mini-clip", "mini")
    gallery = retriever.encode_images([png(draw(scene)) for scene in scenes], [str(i) for i in range(SCENES)])
    captions = {
        "all": [english.realise(scene.content(), english.CANONICAL, rng) for scene in scenes],
        "annotated": [english.realise(observe(scene, rng), english.RETRIEVER, rng) for scene in scenes],
        "people": [english.realise(observe(scene, rng), english.PEOPLE, rng) for scene in scenes],
    }
    found = {}
    for name, texts in captions.items():
        ranking = count_ranks(retriever.encode_texts(texts), gallery, [np.array([i]) for i in range(SCENES)])
        found[name] = {f"R@{k}": mean(success_at(ranking.rank, k)) for k in (1, 5, 10)}
    return found


def measure_language_model(seed: int = 0) -> dict[str, dict[str, float]]:
    """By family (and by language within 'translate'): shares of the wanted facts kept and of those said invented.

    The answers of the `llm` baseline to queries about unseen scenes are parsed back into facts.
    """
    from grapebench.paths import cache_dir
    from grapebench.rewriters import open_rewriter
    from grapebench.rewriters.setup import Setup
    from grapebench.world.parse import parse
    from grapebench.world.training.examples import FAMILIES

    rng = random.Random(f"check/{seed}")
    counts: dict[str, np.ndarray] = {}
    for family, make in FAMILIES.items():
        examples = [make(rng, "test") for _ in range(EXAMPLES)]
        queries = [replace(example.query, id=str(i)) for i, example in enumerate(examples)]
        loaded = open_rewriter("llm", Setup(suite="mini", family=family, seed=seed, root=cache_dir()))
        for rewrite in loaded.rewriter.rewrite(queries):
            example = examples[int(rewrite.query_id)]
            wanted, said = example.content.facts(), parse(rewrite.text).facts()
            row = np.array([len(wanted & said), len(wanted), len(said - wanted), len(said)])
            names = [family, f"{family}/{example.query.language}"] if family == "translate" else [family]
            for name in names:
                counts[name] = counts.get(name, 0) + row
    return {
        name: {"kept": float(kept / wanted), "invented": float(invented / max(said, 1))}
        for name, (kept, wanted, invented, said) in sorted(counts.items())
    }


def show(figures: dict[str, Any], *, as_json: bool) -> None:
    """Print to stdout, as tables or as one JSON object."""
    if as_json:
        import json

        print(json.dumps(figures))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for part, rows in figures.items():
        columns = list(next(iter(rows.values())))
        table = Table("", *columns, title=part.replace("_", " "))
        for name, row in rows.items():
            table.add_row(name, *(f"{100 * row[column]:.1f} %" for column in columns))
        console.print(table)
