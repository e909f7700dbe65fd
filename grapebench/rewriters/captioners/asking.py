"""Asking a captioner: what it looked at before is read from the store, what it says is checked and counted."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import Gallery, ImageSource, Retriever, Rewrite
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

    def caption(
        self,
        image_ids: Sequence[str],
        gallery: Gallery,
        retriever: Retriever,
        store: EmbeddingStore,
        report: Report | None = None,
    ) -> dict[str, str]:
        """A caption of each image; '' where there is none, which is counted in `failures` and warned of.

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
        self._count_failures([answers[image] for image in wanted])
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
            answers = store.lookup(self.fingerprint, list(uses))
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

    def _ask(
        self, store: RewriteStore, fresh: Mapping[str, Picture], asked: list[Rewrite]
    ) -> Iterator[tuple[str, Rewrite]]:
        """Each picture's key and its answer, stored as it comes and added to `asked`."""
        keys = {picture.id: key for key, picture in fresh.items()}
        for answer in self._answers(list(fresh.values())):
            key = keys[answer.query_id]
            asked.append(answer)
            if not failed(answer):
                store.put(self.fingerprint, {key: answer})
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
                self.fingerprint,
                list(fresh),
                lambda keys: store.lookup(self.fingerprint, keys),
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

    def _count_failures(self, answers: Sequence[Rewrite]) -> None:
        self.failures = dict(Counter(answer.fallback for answer in answers if answer.fallback))
        self.unanswered = dict(Counter(answer.fallback for answer in answers if answer.fallback and failed(answer)))
        count = sum(self.failures.values())
        if not count:
            return
        reasons = ", ".join(f"{reason}: {number:,}" for reason, number in self.failures.items())
        said = f"captioner {self.name!r} has no caption for {count:,} of {len(answers):,} reference images ({reasons})"
        if count == len(answers):
            raise UserError(said, fix="what was answered is stored: once the cause is mended, run the same again")
        print(f"warning: {said}; their queries are rewritten with an empty one", file=sys.stderr)


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
        ) from error
