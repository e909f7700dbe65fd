"""What the data are made with: everything that the settings name, found before anything is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench.errors import UserError
from grapebench.files import sha256, sha256_file
from grapebench.records import Query
from grapebench.rewriters import LoadedRewriter, open_rewriter
from grapebench.rewriters.prompted import Prompted
from grapebench.training import material as common
from grapebench.training import policy
from grapebench.training.raqo import meaning, optimiser, synonyms
from grapebench.training.raqo.trials import Bounds

if TYPE_CHECKING:
    from grapebench.training.material import Lesson, Material
    from grapebench.training.raqo.config import RaqoConfig
    from grapebench.training.raqo.meaning import Meaning
    from grapebench.training.raqo.settings_data import Data
    from grapebench.training.raqo.synonyms import Synonyms

VERSION = 1
"""Raised when the same settings would make other data."""
PLAIN = "llm"
"""The card whose prompts are asked where the settings name none."""
_PLACES = {"rewriter", "captioner", "optimise", "synonyms", "sentence_model"}
"""Settings that name something: what they name is compared, and not how."""


@dataclass(frozen=True)
class Parts:
    """What the data are made with."""

    settings: Data
    seed: int
    lesson: Lesson
    rewriter: LoadedRewriter
    meaning: Meaning | None
    synonyms: Synonyms | None
    template: str | None
    """Of the prompt that shows what became of a query."""
    captioner: str | None
    """Fingerprint of what puts the shown images into words."""

    @property
    def bounds(self) -> Bounds:
        return Bounds.of(self.settings, None if self.meaning is None else self.meaning.least)

    @property
    def judge(self) -> str:
        """Which settings say what has left the matter."""
        if self.meaning is None or "facts" in self.meaning.identity:
            return f"data.keep_facts = {self.settings.keep_facts}"
        return f"data.keep_sentences = {self.settings.keep_sentences} with {self.settings.sentence_model}"


def find(config: RaqoConfig, material: Material) -> Parts:
    """Everything that the settings name, nothing heavy loaded."""
    settings, lesson = config.data, material.lessons[0]
    task = lesson.train
    queries = common.spread(task.queries, settings.queries)
    rewriter = _rewriter(config, material)
    _check_concepts(settings, rewriter)
    template = captioner = None
    if settings.optimise is not None:
        template = optimiser.prompt(Path(settings.optimise), task.family, sees(rewriter))
        captioner = None if sees(rewriter) else captions(settings, lesson)[0]
    worded = settings.perturbations and any(map(english, queries))
    return Parts(
        settings, config.seed, lesson, rewriter, meaning.find(settings, task, queries),
        synonyms.find(settings.synonyms, task) if worded else None, template, captioner,
    )  # fmt: skip


def _rewriter(config: RaqoConfig, material: Material) -> LoadedRewriter:
    """What is asked, sampled where it can be."""
    setup, changes = material.lessons[0].setup, {}
    spec = config.data.rewriter
    if spec is None:
        # The card that training starts from may name concepts before it rewrites, and has not learnt to yet.
        engine: Any = policy.local(material.rewriter).engine
        spec, changes = PLAIN, engine.settings.model_dump(include={"model", "revision", "dtype", "max_new_tokens"})
        if engine.model.commit is None:
            changes["model"] = str(engine.model.folder.resolve())
    loaded = open_rewriter(spec, setup, changes)
    known = getattr(type(getattr(loaded.rewriter, "settings", None)), "model_fields", {})
    wanted = {"sample": True, "temperature": config.data.temperature}
    drawn = {name: value for name, value in wanted.items() if name in known and value is not None}
    return open_rewriter(spec, setup, changes | drawn) if drawn else loaded


def _check_concepts(settings: Data, rewriter: LoadedRewriter) -> None:
    """Raises UserError where the model is to name concepts and is never asked for them."""
    made = rewriter.rewriter
    if settings.concepts != "named" or settings.optimise is not None or not isinstance(made, Prompted):
        return
    if not made.detects and made.settings.answer != "concepts":
        raise UserError(
            f"{rewriter.name} is never asked for the concepts that it is to name",
            fix="set data.optimise to a prompt file, take a card that detects them, or set data.concepts=contrast",
        )


def sees(rewriter: LoadedRewriter) -> bool:
    """Whether its model takes images."""
    return bool(getattr(getattr(rewriter.rewriter, "engine", None), "sees", False))


def captions(settings: Data, lesson: Lesson) -> tuple[str, Any]:
    """The fingerprint of what puts images into words, and the captioner or the captions themselves, by image."""
    from grapebench.rewriters.captioners import open_captioner
    from grapebench.rewriters.oracle import FILE, read_captions

    if settings.captioner is not None:
        loaded = open_captioner(settings.captioner, lesson.setup)
        return loaded.fingerprint, loaded
    path = lesson.train.root / FILE
    if not path.is_file():
        raise UserError(
            "no such file, and the prompt shows images in words", file=path,
            fix='write one JSON object a line: {"image": "<id>", "caption": "<text>"}, or set data.captioner',
        )  # fmt: skip
    return sha256_file(path), read_captions(path)


def record(parts: Parts, material: Material) -> dict[str, Any]:
    """All that the data depend on, as JSON."""
    lesson = parts.lesson
    return {
        "version": VERSION,
        "settings": parts.settings.model_dump(mode="json", exclude=_PLACES),
        "seed": parts.seed,
        **{key: value for key, value in lesson.record.items() if key not in ("val", "rewriter")},
        "retriever": material.retriever.fingerprint,
        "rewriter": parts.rewriter.fingerprint,
        "meaning": None if parts.meaning is None else parts.meaning.identity,
        "synonyms": None if parts.synonyms is None else parts.synonyms.sha256,
        "optimise": None if parts.template is None else sha256(parts.template),
        "shown_captions": parts.captioner,
    }


def english(query: Query) -> bool:
    return query.language.split("-")[0].lower() == "en"
