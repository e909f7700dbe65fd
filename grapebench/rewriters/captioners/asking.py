"""Asking a captioner: what it looked at before is read from the store, what it says is checked and counted."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import Gallery, ImageSource, Retriever, Rewrite
from grapebench.registry import advice
from grapebench.rewriters import output
from grapebench.rewriters.answers import failed
from grapebench.rewriters.store import RewriteStore

if TYPE_CHECKING:
    from grapebench.retrieval.store import EmbeddingStore

Report = Callable[[int, int], None]
"""Called with how many images have a caption and how many there are."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that wants a caption."""

    id: str
    sha256: str
    """Of the encoded file, hex: images that are equal are asked for once, whatever they are called."""
    source: ImageSource

    def read(self) -> bytes:
        """The encoded file (PNG, JPEG, …). Raises UserError, naming it, where it is missing."""
        return self.source.read(self.id)


@dataclass
class LoadedCaptioner:
    """A captioner ready to be asked, with all that a result says of it. Nothing heavy is loaded yet."""

    name: str
    mechanism: Any
    """A `Captioner` or a `Describer`."""
    fingerprint: str
    """Hash of everything but the image, the retriever and the seed that determines a caption."""
    description: dict[str, Any]
    """For the result file: mechanism, settings, model and weights, prompt, versions."""
    language_model: bool | None = None
    """Whether a generative model writes the captions; None where its class does not say."""
    seed: int | None = None
    """For one that samples; None where it makes no difference."""
    cost: dict[str, float] = field(default_factory=dict)
    """Of what the last `caption` asked: 'prompt_tokens', 'completion_tokens', 'money', 'images', 'seconds'."""
    unanswered: dict[str, int] = field(default_factory=dict)
    """Those of `failures` that nothing came back for: the next run asks for them again."""
    failures: dict[str, int] = field(default_factory=dict)
    """Reason and number of the images that the last `caption` left without a caption."""
    cut: dict[str, int] = field(default_factory=dict)
    """How many of its captions had their 'prompt' or 'output' cut off."""
    lost: frozenset[str] = frozenset()
    """The images behind `unanswered`."""
    asked_for: int = 0
    """How many images the last `caption` was asked for."""

    @property
    def tallies(self) -> dict[str, dict[str, int]]:
        """What went wrong with the captions of the last `caption`, as a result has it: by field and reason."""
        return {"unanswered": self.unanswered, "uncaptioned": self.failures, "cut": self.cut}

    def require_answers(self) -> None:
        """Raises UserError where a caption of the last `caption` never came: what is learnt from the others, and
        written down, would never be learnt from it."""
        if self.unanswered:
            said = self._said("gave no answer for", len(self.lost), self.asked_for, self.unanswered)
            raise UserError(said, fix="give the same command again: what came is kept")

    def caption(
        self,
        image_ids: Sequence[str],
        gallery: Gallery,
        retriever: Retriever,
        store: EmbeddingStore,
        report: Report | None = None,
    ) -> dict[str, str]:
        """A caption of each image; '' where there is none, which is counted in `failures` and warned of, as is what was
        cut off in `cut`.

        What a describer says is stored as it comes, so that after a kill the same call goes on from there. Raises
        UserError for an image that is not in the gallery or cannot be read, where the captioner fails, and where not
        one image has a caption.
        """
        wanted = list(dict.fromkeys(image_ids))
        for image in wanted:
            if image not in gallery.index:
                raise UserError(f"reference image {image!r} is not in the gallery")
        report = report or (lambda *_: None)
        started = time.perf_counter()
        asked: list[Rewrite] = []
        if hasattr(self.mechanism, "describe"):
            answers = self._described(wanted, gallery, asked, report)
        else:
            answers = self._captioned(wanted, gallery, retriever, store) if wanted else {}
            asked = list(answers.values())
            report(len(wanted), len(wanted))
        self.cost = {
            "prompt_tokens": sum(answer.prompt_tokens for answer in asked),
            "completion_tokens": sum(answer.completion_tokens for answer in asked),
            "money": sum(answer.money for answer in asked),
            "images": len(asked),
            "seconds": time.perf_counter() - started,
        }
        self._count_troubles({image: answers[image] for image in wanted})
        return {image: "" if answers[image].fallback else answers[image].texts[0].strip() for image in wanted}

    def _captioned(
        self, wanted: list[str], gallery: Gallery, retriever: Retriever, store: EmbeddingStore
    ) -> dict[str, Rewrite]:
        with _blaming(self):
            told = self.mechanism.caption(wanted, gallery, retriever, store)
        if not isinstance(told, Mapping):
            raise UserError(f"captioner {self.name!r} gave a {type(told).__name__}", fix="give a dict of id to caption")
        given = {image: Rewrite(image, texts=(told[image],)) for image in wanted if image in told}
        return {image: self._checked(given.get(image, _missing(image))) for image in wanted}

    def _described(
        self, wanted: list[str], gallery: Gallery, asked: list[Rewrite], report: Report
    ) -> dict[str, Rewrite]:
        """The answer for each image; those that were not stored are added to `asked`."""
        hashes = gallery.images.sha256(wanted)
        keys = [told if self.seed is None else sha256_json([told, self.seed]) for told in hashes]
        uses = Counter(keys)
        with RewriteStore() as store:
            answers = self._stored(store, list(uses))
            fresh: dict[str, Picture] = {}
            for image, told, key in zip(wanted, hashes, keys, strict=True):
                if key not in answers:
                    fresh.setdefault(key, Picture(image, told, gallery.images))
            done = sum(uses[key] for key in answers)
            report(done, len(wanted))
            paid = getattr(self.mechanism, "paid", False)
            for key, answer in (self._ask_once if paid else self._ask)(store, fresh, asked):
                answers[key] = answer
                done += uses[key]
                report(done, len(wanted))
        return {image: answers.get(key, _missing(image)) for image, key in zip(wanted, keys, strict=True)}

    @property
    def _asked_as(self) -> str:
        """What captions are stored under."""
        return getattr(self.mechanism, "asked_as", self.fingerprint)

    def _stored(self, store: RewriteStore, keys: Sequence[str]) -> dict[str, Rewrite]:
        """The stored captions by key, as the captioner reads them today."""
        found = store.lookup(self._asked_as, keys)
        read_again = getattr(self.mechanism, "read_again", None)
        return found if read_again is None else {key: read_again(answer) for key, answer in found.items()}

    def _ask(
        self, store: RewriteStore, fresh: Mapping[str, Picture], asked: list[Rewrite]
    ) -> Iterator[tuple[str, Rewrite]]:
        """Each picture's key and its answer, stored as it comes and added to `asked`."""
        keys = {picture.id: key for key, picture in fresh.items()}
        for answer in self._answers(list(fresh.values())):
            key = keys[answer.query_id]
            asked.append(answer)
            if not failed(answer):
                store.put(self._asked_as, {key: answer})
            yield key, answer

    def _ask_once(
        self, store: RewriteStore, fresh: Mapping[str, Picture], asked: list[Rewrite]
    ) -> Iterator[tuple[str, Rewrite]]:
        """The same, for captions that cost money: what another process is asking for is waited for."""
        from grapebench.rewriters.claims import Claims, ask_once

        if not fresh:
            return
        with Claims(store.path, getattr(self.mechanism, "lease", None)) as claims:
            yield from ask_once(
                claims,
                self._asked_as,
                list(fresh),
                lambda keys: self._stored(store, keys),
                lambda keys: self._ask(store, {key: fresh[key] for key in keys}, asked),
            )

    def _answers(self, pictures: list[Picture]) -> Iterator[Rewrite]:
        """What the describer yields, checked one by one."""
        if not pictures:
            return
        open_ids = {picture.id for picture in pictures}
        with _blaming(self):
            for answer in self.mechanism.describe(pictures):
                if not isinstance(answer, Rewrite):
                    raise UserError(
                        f"captioner {self.name!r} gave a {type(answer).__name__}",
                        fix="yield grapebench.records.Rewrite(picture.id, texts=(caption,))",
                    )
                if answer.query_id not in open_ids:
                    raise UserError(f"captioner {self.name!r} captioned an image twice or unasked: {answer.query_id!r}")
                open_ids.remove(answer.query_id)
                yield self._checked(answer)

    def _checked(self, answer: Rewrite) -> Rewrite:
        if answer.fallback:
            return answer
        if len(answer.texts) != 1 or not isinstance(answer.texts[0], str):
            raise UserError(
                f"captioner {self.name!r}, image {answer.query_id!r}: a caption is one text, not {answer.texts!r}"
            )
        if not answer.texts[0].strip():
            # Nothing was its answer, and no failure: it is not asked again.
            return replace(answer, raw=answer.raw or "", fallback="empty")
        return answer

    def _count_troubles(self, answers: Mapping[str, Rewrite]) -> None:
        self.asked_for = len(answers)
        self.lost = frozenset(image for image, answer in answers.items() if failed(answer))
        self.unanswered = dict(Counter(answers[image].fallback or "" for image in answers if image in self.lost))
        tally = output.tally(answers.values())
        self.failures = tally["fallbacks"]
        self.cut = {place: count for place, count in tally["cut"].items() if count}
        if self.failures:
            said = self._said("has no caption for", sum(self.failures.values()), len(answers), self.failures)
            if sum(self.failures.values()) == len(answers):
                raise UserError(said, fix="what was answered is stored: once the cause is mended, run the same again")
            print(f"warning: {said}; their queries are rewritten with an empty one", file=sys.stderr)
        if self.cut:
            most = max(self.cut.values())
            print(f"warning: {self._said('was cut off at', most, len(answers), self.cut)}", file=sys.stderr)

    def _said(self, what: str, count: int, images: int, reasons: Mapping[str, int]) -> str:
        told = ", ".join(f"{reason}: {number:,}" for reason, number in reasons.items())
        return f"captioner {self.name!r} {what} {count:,} of {images:,} reference images ({told})"


def _missing(image: str) -> Rewrite:
    """What stands for the caption that a captioner never gave."""
    return Rewrite(image, texts=("",), fallback="missing")


@contextlib.contextmanager
def _blaming(captioner: LoadedCaptioner) -> Iterator[None]:
    """An error of the captioner's own code as a UserError with its place there."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        own = getattr(sys.modules.get(type(captioner.mechanism).__module__), "__file__", None)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise UserError(
            f"captioner {captioner.name!r} failed: {said}",
            file=own if lines else None,
            line=lines[-1] if own and lines else None,
            fix=advice(error, Path(own)) if own and lines else None,
        ) from error
