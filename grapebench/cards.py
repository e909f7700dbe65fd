"""What a card may say: the pydantic models of the TOML files in tasks/ and baselines/."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Suite = Literal["mini", "full"]
Family = Literal["translate", "condense", "compose"]


class Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
    """The loader: a name in the registry of datasets."""
    protocol: str
    protocols: tuple[str, ...] = ()
    """Others that papers use for the same data; chosen by `--protocol`."""
    collection: str = ""
    """Whose images these are, where several tasks share them ('flickr30k'); the card's own name where empty."""
    seen_by: dict[str, str] = Field(default_factory=dict)
    """Published training sets that hold images of the test split, and what is known of it."""
    revision: int = 1
    """Raised whenever data, protocol or metric change the numbers."""
    languages: tuple[str, ...]
    licence: str
    source: str
    citation: str
    mini: SuiteCard | None = None
    full: SuiteCard | None = None
    published: tuple[Published, ...] = ()


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
    families: tuple[Family, ...] = ("translate", "condense", "compose")
    suites: tuple[Suite, ...] = ("mini", "full")
    trained_on: str | None = None
    """A file beside the card that says which images it was trained on; runs that search among them are refused."""
    captioner: str | None = None
    """Puts the reference image of composed queries into words; a name in the registry of captioners."""
    prompts: dict[str, str] = Field(default_factory=dict)
    """Family (or 'system') to a prompt file beside the card."""
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
