"""What a training says of itself: `log.jsonl` and `samples.jsonl` in its folder, one JSON object a line.

A line is written whole and flushed at once. What `kill -9` may leave is a last line without its end: it is no line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from grapebench import files
from grapebench.errors import UserError

LOG, SAMPLES = "log.jsonl", "samples.jsonl"


def _finite(value: object) -> object:
    """A finite number of any library as Python's own, None for one that is not finite; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


Number = Annotated[float | None, BeforeValidator(_finite)]
"""None where it is not known. What is not finite becomes None: JSON has no word for it."""
Count = Annotated[int, Field(ge=0)]


class _Line(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, populate_by_name=True
    )


class Record(_Line):
    """One line of a file."""

    step: Count
    """How many steps of the optimiser had been made."""


class Step(Record):
    """One step of training; means are over the rollouts of the step."""

    kind: Literal["step"] = "step"
    task: str = ""
    """Which of several tasks was asked; '' where there is one."""
    seconds: Number
    """How long the step took."""
    reward: Number
    """Mean reward."""
    reward_std: Number
    """Mean over the groups of the standard deviation of the rewards within the group."""
    flat_groups: Number
    """Share of the groups whose rewards are all the same: nothing is learnt from them."""
    kl: Number
    """Mean divergence from the reference model, in nats a token."""
    entropy: Number
    """Mean entropy of the policy's next token, in nats."""
    length: Number
    """Mean length, in tokens."""
    repetition: Number
    """Mean share of the pairs of neighbouring words that were said before (`rewards.form`)."""
    unusable: Number
    """Share of the outputs without a rewrite in them."""
    cut: Number = None
    """Share of the outputs that reached their token limit."""
    positive: Number
    """Mean cosine to the positive; this and the next three over the first rollout of each group."""
    others: Number
    """Mean cosine to all other images."""
    top_others: Number
    """Mean cosine to the most similar other images."""
    margin: Number
    """Mean of the cosine to the positive minus that to the most similar other image."""
    rank_median: Number
    """Median rank of the positive in the pool that the reward searches."""
    rank_first: Number
    """Share of the rollouts that rank the positive first."""
    loss: Number
    learning_rate: Number


class Figures(_Line):
    """What a validation finds, greedy, always of the same `val_queries` val queries."""

    recall_1: Number = Field(validation_alias="R@1", serialization_alias="R@1")
    recall_10: Number = Field(validation_alias="R@10", serialization_alias="R@10")
    positive: Number
    others: Number
    top_others: Number
    margin: Number
    repetition: Number
    unusable: Number
    cut: Number = None
    """Share of the rewrites whose prompt or answer was cut off."""
    length: Number
    fact_survival: Number = None
    """Share of the visible facts that the rewrite still says; the miniature alone knows them."""


class Val(Figures, Record):
    """One validation; that of step 0 is of the frozen model. Of several tasks each figure is the mean over them."""

    kind: Literal["val"] = "val"
    seconds: Number
    """How long the validation took."""
    tasks: dict[str, Figures] = Field(default_factory=dict)
    """Each task's own figures where there are several."""

    def of(self, task: str) -> Val:
        """The validation of one of several tasks alone."""
        return Val(step=self.step, seconds=None, **self.tasks[task].model_dump())


class Stop(Record):
    """The end of a training."""

    kind: Literal["stop"] = "stop"
    reason: str
    """'finished', or 'collapse: …'."""


class Sample(Record):
    """What became of one val query at a validation."""

    task: str = ""
    """Which of several tasks it is of; '' where there is one."""
    query_id: str
    query: str
    rewrite: str
    rank: Annotated[int, Field(ge=1)]
    """Of the positive, in the whole gallery."""


Entry = Step | Val | Stop
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="kind")])
_SAMPLE: TypeAdapter[Sample] = TypeAdapter(Sample)


def append(folder: Path, *entries: Entry) -> None:
    """Add lines to the log, all in one write."""
    _append(folder / LOG, entries)


def append_samples(folder: Path, samples: Iterable[Sample]) -> None:
    """Add lines to the samples, all in one write."""
    _append(folder / SAMPLES, samples)


def read(folder: Path) -> list[Entry]:
    """The log in its order, empty where there is none yet; UserError, with file and line, for a line that is none."""
    return [entry for entry, _ in _lines(folder / LOG, _ENTRY)]


def read_samples(folder: Path) -> list[Sample]:
    """The samples in their order, empty where there are none yet; UserError, with file and line, for a broken line."""
    return [sample for sample, _ in _lines(folder / SAMPLES, _SAMPLE)]


def truncate(folder: Path, step: int) -> None:
    """Cut log and samples back to what was written up to and including `step`, so that training goes on from there.

    A stop goes too, as it no longer holds. Each file is replaced at once or left as it is. Raises UserError as `read`.
    """
    log = [(entry.step <= step and entry.kind != "stop", line) for entry, line in _lines(folder / LOG, _ENTRY)]
    samples = [(sample.step <= step, line) for sample, line in _lines(folder / SAMPLES, _SAMPLE)]
    for path, lines in ((folder / LOG, log), (folder / SAMPLES, samples)):
        if path.exists():
            files.write_bytes(path, b"".join(line for kept, line in lines if kept))


def _append(path: Path, records: Iterable[Record]) -> None:
    data = "".join(_line(record) for record in records).encode()
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise files.explain_os_error(error, path) from error


def _line(record: Record) -> str:
    # Only what has a default is left out: the kind, which is put first, fact_survival, and what several tasks have.
    value = record.model_dump(by_alias=True, exclude_defaults=True)
    kind = {"kind": record.kind} if isinstance(record, Entry) else {}
    return json.dumps(kind | value, ensure_ascii=False, allow_nan=False) + "\n"


def _lines(path: Path, reader: TypeAdapter[Any]) -> Iterator[tuple[Any, bytes]]:
    """Each record with its line as it stands in the file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise files.explain_os_error(error, path) from error
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            continue
        try:
            yield reader.validate_json(line), line
        except ValidationError as error:
            raise UserError(_told(error), file=path, line=number) from error


def _told(error: ValidationError) -> str:
    first = error.errors()[0]
    # The key is the last of its place: before it comes the kind, or the task that it is of.
    key = f"{first['loc'][-1]}: " if first["loc"] else ""
    return key + first["msg"][:1].lower() + first["msg"][1:]
