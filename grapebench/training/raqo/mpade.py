"""MPADE, the first part of RAQO: data sets of what the retriever finds hard, and of rewrites that it understands.

In `folder`: `ambiguity.parquet`, `round-<n>.parquet` and `perturbed.parquet` hold every text that was searched and
where the right image came; the sets `ccr`, `qre` and `pro` are made from them; `card.json`, written last, tells of all.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import files
from grapebench.errors import UserError, missing_extra
from grapebench.records import Query
from grapebench.training import material as common
from grapebench.training.raqo import checks, perturb, sets, trials
from grapebench.training.raqo.ambiguity import Search
from grapebench.training.raqo.optimise import Captions, Optimisation, Prompting
from grapebench.training.raqo.parts import Parts, captions, english, find, record, sees
from grapebench.training.raqo.trials import Trial

if TYPE_CHECKING:
    import datasets

    from grapebench.evaluation.measure import Report
    from grapebench.training.material import Material, Part
    from grapebench.training.raqo.config import RaqoConfig

CARD, MADE_OF, SEEN, PAGE = "card.json", "made_of.json", "trained_on.json", "index.html"
AMBIGUITY, PERTURBED = "ambiguity.parquet", "perturbed.parquet"


@dataclass(frozen=True)
class Sets:
    """The three data sets (columns: `grapebench.training.raqo.sets.COLUMNS`) and what their card says."""

    ccr: datasets.Dataset
    qre: datasets.Dataset
    pro: datasets.Dataset
    card: dict[str, Any]


def build(config: RaqoConfig, material: Material, folder: Path, report: Report) -> Sets:
    """The data sets of a training's only task, in `folder`; what is finished there is not made again.

    Only queries of the training split are looked at; a set may come out empty. Raises UserError where the folder holds
    data of other settings or material, and where something that the settings name is missing.
    """
    _check_datasets()
    with files.alone(folder, "building data"):
        parts = find(config, material)
        told = record(parts, material)
        _prepare(folder, told)
        if not (folder / CARD).is_file():
            _build(parts, material, told, folder, report)
        return load(folder)


def load(folder: Path) -> Sets:
    """Data that are finished. Raises UserError where they are not."""
    _check_datasets()
    from datasets import load_from_disk

    if not (folder / CARD).is_file():
        raise UserError("there are no finished data", file=folder, fix="build them with: grapebench train raqo data")
    found = {name: load_from_disk(str(folder / name)) for name in sets.COLUMNS}
    return Sets(**found, card=json.loads((folder / CARD).read_text(encoding="utf-8")))


def _prepare(folder: Path, told: Mapping[str, Any]) -> None:
    """Raises UserError where the folder holds data that were made of something else, or anything else."""
    path = folder / MADE_OF
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key, value in told.items() if before.get(key) != value]
        if "settings" in differing:
            stored = before.get("settings", {})
            differing += [f"data.{key}" for key, value in told["settings"].items() if stored.get(key) != value]
            differing.remove("settings")
        if differing:
            what = f"the data there were made with another {', '.join(differing)}"
            raise UserError(what, file=folder, fix="choose another folder, or remove this one")
    elif any(one.name != files.LOCK for one in folder.iterdir()):
        raise UserError("is not empty, and no data are in it", file=folder, fix="choose another folder")
    else:
        _write_json(path, told)


def _build(parts: Parts, material: Material, told: Mapping[str, Any], folder: Path, report: Report) -> None:
    from grapebench.datasets import seen
    from grapebench.evaluation.measure import attach
    from grapebench.retrieval.searcher import Searcher
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.training.raqo import page, telling

    settings, bounds, lesson = parts.settings, parts.bounds, parts.lesson
    part, _ = lesson.parts(material.retriever, report)
    queries = common.spread(part.queries, settings.queries)
    attach(parts.rewriter, Searcher(part.task.gallery, material.retriever, EmbeddingStore()))
    search = Search(part.task.gallery, part.images, material.retriever)

    raw = _raw(queries, search, folder / AMBIGUITY, report)
    optimisation = Optimisation(
        parts.rewriter, search, parts.meaning, bounds, settings.rounds, settings.samples, parts.seed,
        _prompting(parts, material, part, report),
    )  # fmt: skip
    rounds = optimisation.run([query for query in queries if bounds.fails(raw[query.id])], folder, report)
    outcomes = Counter(bounds.outcome(trial) for some in rounds for trial in some)
    checks.drifting("rewrites that find their image", outcomes["drifts"], outcomes["kept"], parts.judge)
    plain = [query for query in queries if bounds.finds(raw[query.id]) and english(query)]
    perturbed = _perturbed(parts, plain, search, folder / PERTURBED, report)

    tried = sets.Tried(queries, raw, rounds, perturbed)
    reasons = Counter(sets.rejection(trial, tried, bounds, settings) for trial in perturbed)
    checks.drifting("rare wordings that the retriever knows less of", reasons["drifts"], reasons["kept"], parts.judge)
    solved = sets.solved(tried, bounds, settings)
    rows = sets.rows(tried, solved, bounds, settings, parts.seed)
    for name, some in rows.items():
        _save(folder / name, name, some)
    seen.record(folder / SEEN, [lesson.train])
    card = telling.card(tried, solved, rows, bounds, settings, told)
    page.write(folder / PAGE, tried, solved, bounds, settings, card)
    _write_json(folder / CARD, card)


def _raw(queries: Sequence[Query], search: Search, path: Path, report: Report) -> dict[str, Trial]:
    """Where each query's own text finds its image, by its id."""
    if not path.is_file():
        texts = [query.text for query in queries]
        rank, cosine = search.places(queries, texts, partial(report, "ranking queries"))
        trials.write(
            path,
            [
                Trial(query.id, query.text, rank=one, cosine=other)
                for query, one, other in zip(queries, rank.tolist(), cosine.tolist(), strict=True)
            ],
        )
    return {trial.query_id: trial for trial in trials.read(path)}


def _prompting(parts: Parts, material: Material, part: Part, report: Report) -> Prompting | None:
    if parts.template is None:
        return None
    if sees(parts.rewriter):
        return Prompting(parts.template, parts.settings.shown, None)
    from grapebench.retrieval.store import EmbeddingStore

    known = captions(parts.settings, parts.lesson)[1]
    store = EmbeddingStore()

    def told(images: Sequence[str]) -> Mapping[str, str]:
        if not isinstance(known, dict):
            made: Mapping[str, str] = known.caption(
                images, part.task.gallery, material.retriever, store, partial(report, "captioning")
            )
            known.require_answers()
            return made
        for image in images:
            if image not in known:
                raise UserError(f"there is no caption of image {image!r}", file=parts.lesson.train.root)
        return known

    found: Captions = told
    return Prompting(parts.template, parts.settings.shown, found)


def _perturbed(parts: Parts, queries: Sequence[Query], search: Search, path: Path, report: Report) -> list[Trial]:
    """Rare wordings of queries, all of them ranked."""
    settings, words = parts.settings, parts.synonyms
    if words is None or not queries:
        return []
    if not path.is_file():
        made = [
            (query, wording)
            for query in queries
            for wording in perturb.wordings(
                query.text, words, random.Random(f"{parts.seed}/{query.id}"), settings.perturbations, settings.replaced
            )
        ]
        asked, texts = [query for query, _ in made], [wording.text for _, wording in made]
        rank, cosine = search.places(asked, texts, partial(report, "ranking rare wordings"))
        scores: Sequence[float | None] = [None] * len(made)
        if parts.meaning is not None:
            scores = parts.meaning.wordings(asked, texts)
        trials.write(
            path,
            [
                Trial(query.id, wording.text, rank=one, cosine=other, meaning=score, concepts=wording.rare)
                for (query, wording), one, other, score in zip(
                    made, rank.tolist(), cosine.tolist(), scores, strict=True
                )
            ],
        )
    return trials.read(path)


def _save(path: Path, name: str, rows: Sequence[sets.Row]) -> None:
    from datasets import Dataset, Features, Value, disable_progress_bars, enable_progress_bars

    kinds = {"concepts": [Value("string")], "rewrites": [Value("string")], "rewards": [Value("float64")]}
    features = Features({column: kinds.get(column, Value("string")) for column in sets.COLUMNS[name]})
    columns = {column: [row[column] for row in rows] for column in sets.COLUMNS[name]}
    disable_progress_bars()
    try:
        with files.atomic_folder(path) as temporary:
            # Without a file, which is what no rows are given, the set could not be loaded.
            Dataset.from_dict(columns, features=features).save_to_disk(str(temporary), num_shards=1)
    finally:
        enable_progress_bars()


def _check_datasets() -> None:
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        raise missing_extra("datasets", "train") from error


def _write_json(path: Path, value: Any) -> None:
    files.write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
