"""What a card may say: the pydantic models of the TOML files in tasks/ and baselines/."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

Suite = Literal["mini", "full"]
Family = Literal["translate", "condense", "compose"]


class Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    _path: Path | None = PrivateAttr(None)

    @property
    def path(self) -> Path | None:
        """The file that it was read from; None for one that was made in Python."""
        return self._path

    def lies_at(self, path: Path) -> Self:
        """The same card, which knows its file."""
        found = self.model_copy()
        found._path = path
        return found


class SplitCard(Card):
    """What one split must hold; a difference is an error that names both numbers."""

    queries: int | None = None
    """None where it is not published."""
    images: int | None = None
    """None where it is not published."""
    captions: int | None = None
    """Where it differs from `queries`: captions that several images share are one query."""
    sha256: str | None = None
    """Mini only: the content hash of everything the world writes for the split."""


class SuiteCard(Card):
    """A task's data in one suite."""

    languages: tuple[str, ...] = ()
    """Of this suite's queries, where they are not all of the task's."""
    default_split: str = "test"
    splits: dict[str, SplitCard]
    options: dict[str, Any] = Field(default_factory=dict)
    """Passed to the loader as keyword arguments."""
    annotations: str = ""
    """Full only: the annotation files that are needed, and where they are got."""
    images: str = ""
    """Full only: the images that are needed, and where they are got."""


class Published(Card):
    """A figure from a paper, shown apart from measured ones."""

    source: str
    method: str
    metrics: dict[str, float]
    """Percent, as printed there."""


class TaskCard(Card):
    """tasks/<name>.toml"""

    name: str
    title: str
    about: str
    family: Family
    dataset: str
    """The loader: a name in the registry of datasets, or path/to/file.py:function beside the card."""
    protocol: str
    protocols: tuple[str, ...] = ()
    """Others that papers use for the same data; chosen by `--protocol`."""
    collection: str = ""
    """Whose images these are, where several tasks share them ('flickr30k'); the card's own name where empty."""
    seen_by: dict[str, str] = Field(default_factory=dict)
    """Published training sets that hold images of the test split, and what is known of it."""
    revision: int = 1
    """Raised whenever data, protocol or metric change the numbers."""
    overall: bool = True
    """Whether it counts in the board's table over all tasks; one beside the benchmark's own (a control, another gallery
    of the same data) does not."""
    languages: tuple[str, ...]
    licence: str
    source: str
    citation: str
    mini: SuiteCard | None = None
    full: SuiteCard | None = None
    published: tuple[Published, ...] = ()


class SuiteOverrides(BaseModel):
    """What a rewriter's card says otherwise in one suite: single settings, and the keys below."""

    model_config = ConfigDict(extra="allow", frozen=True)

    captioner: str | None = None
    prompts: dict[str, str] = Field(default_factory=dict)
    """Single prompt files, in the place of the card's."""

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class TaskOverrides(BaseModel):
    """What a rewriter's card says otherwise for one task: single settings, and what was trained on."""

    model_config = ConfigDict(extra="allow", frozen=True)

    trained_on: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


SEED = "{seed}"
"""Stands in a path for the run's seed, where each seed has weights of its own."""
WEIGHTS = ("adapter", "model")
"""Settings that may be such a path."""


class RewriterCard(Card):
    """baselines/<name>.toml"""

    name: str
    title: str
    about: str
    mechanism: str
    """A name in the registry of rewriters."""
    paper: str | None = None
    oracle: bool = False
    """It looks at the answer: shown apart, never ranked."""
    reference: bool = False
    """Others are measured by it: the board shows how far each row is from its row."""
    families: tuple[Family, ...] = ("translate", "condense", "compose")
    suites: tuple[Suite, ...] = ("mini", "full")
    trained_on: str | None = None
    """A file beside the card that says which images it was trained on; runs that search among them are refused."""
    captioner: str | None = None
    """Puts the reference image of composed queries into words: a captioner card's name or path, a name in the registry
    of captioners, or path/to/file.py:Class."""
    prompts: dict[str, str] = Field(default_factory=dict)
    """Family (or 'system') to a prompt file beside the card."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Checked by the mechanism."""
    mini: SuiteOverrides = Field(default_factory=SuiteOverrides)
    full: SuiteOverrides = Field(default_factory=SuiteOverrides)
    tasks: dict[str, TaskOverrides] = Field(default_factory=dict)
    """By the task's name; where there are any, the rewriter is for these tasks alone. They come after the suite's."""

    @property
    def by_seed(self) -> bool:
        """Whether a seed chooses the weights: `{seed}` stands in the path of an adapter or a model."""
        return any(SEED in str(self.settings.get(key, "")) for key in WEIGHTS)

    def for_seed(self, seed: int) -> RewriterCard:
        """The card with the weights of one seed, and what these were trained on."""
        chosen = {key: str(self.settings[key]).replace(SEED, str(seed)) for key in WEIGHTS if key in self.settings}
        trained_on = None if self.trained_on is None else self.trained_on.replace(SEED, str(seed))
        return self.model_copy(update={"trained_on": trained_on, "settings": {**self.settings, **chosen}})

    def for_task(self, task: str) -> RewriterCard:
        """The card with what it says otherwise for one task filled in. Raises KeyError where it is not for the task."""
        own = self.tasks[task]
        filled = {
            "trained_on": own.trained_on or self.trained_on,
            "settings": {**self.settings, **own.settings},
            "tasks": {},
        }
        return self.model_copy(update=filled)

    def in_suite(self, suite: Suite) -> RewriterCard:
        """The card with what it says otherwise in one suite filled in."""
        own: SuiteOverrides = getattr(self, suite)
        filled = {
            "captioner": own.captioner or self.captioner,
            "prompts": {**self.prompts, **own.prompts},
            "settings": {**self.settings, **own.settings},
            "mini": SuiteOverrides(),
            "full": SuiteOverrides(),
        }
        return self.model_copy(update=filled)


class CaptionerCard(Card):
    """baselines/captioners/<name>.toml"""

    name: str
    title: str
    about: str
    mechanism: str
    """A name in the registry of captioners."""
    paper: str | None = None
    suites: tuple[Suite, ...] = ("mini", "full")
    prompts: dict[str, str] = Field(default_factory=dict)
    """'user' and, if wanted, 'system' to a prompt file beside the card."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Checked by the mechanism; `mini` and `full` override single keys in one suite."""
    mini: dict[str, Any] = Field(default_factory=dict)
    full: dict[str, Any] = Field(default_factory=dict)


class RetrieverCard(Card):
    """baselines/retrievers/<name>.toml"""

    name: str
    title: str
    about: str
    mechanism: str
    settings: dict[str, Any] = Field(default_factory=dict)
    default_for: tuple[Suite, ...] = ()
    trained_on: tuple[str, ...] = ()
    """Published training sets, as tasks name them under `seen_by` ('flickr30k-karpathy-train')."""
