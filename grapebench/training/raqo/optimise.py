"""MPADE's iterative optimisation: ambiguous queries are rewritten, round by round, until something finds the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from grapebench.errors import UserError
from grapebench.records import Query, Rewrite
from grapebench.rewriters import LoadedRewriter, answers
from grapebench.rewriters import concepts as concepts_of
from grapebench.rewriters.output import UNDETECTED, is_cut
from grapebench.rewriters.prompted import Prompted
from grapebench.rewriters.recot import CONCEPTS
from grapebench.rewriters.samples import expand
from grapebench.rewriters.store import RewriteStore, all_answers
from grapebench.training.raqo import trials
from grapebench.training.raqo.ambiguity import Search
from grapebench.training.raqo.meaning import Meaning
from grapebench.training.raqo.optimiser import Feedback, Optimiser
from grapebench.training.raqo.trials import Bounds, Trial

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Report

Captions = Callable[[Sequence[str]], Mapping[str, str]]
"""Images in words, by their ids."""
LOST = 0.1
"""Where more of a round's answers never came, the server is at fault, and the round is not written down."""


@dataclass(frozen=True)
class Prompting:
    """How rounds show the model what became of a query; in the first round, of its own text."""

    template: str
    shown: int
    captions: Captions | None
    """None: the model sees the images."""


@dataclass(frozen=True)
class Optimisation:
    rewriter: LoadedRewriter
    search: Search
    meaning: Meaning | None
    bounds: Bounds
    rounds: int
    samples: int
    seed: int
    prompting: Prompting | None
    """None: each round asks the rewriter's own prompt, and gets other draws."""

    def run(self, queries: Sequence[Query], folder: Path, report: Report) -> list[list[Trial]]:
        """The trials of each round, kept as files; a round that is there is not made again. Queries are asked until one
        of their answers is kept."""
        done: list[list[Trial]] = []
        waiting = list(queries)
        for number in range(1, self.rounds + 1):
            if not waiting:
                break
            path = folder / f"round-{number}.parquet"
            if not path.is_file():
                trials.write(path, self._round(number, waiting, done, report))
            done.append(trials.read(path))
            kept = {trial.query_id for trial in done[-1] if self.bounds.keeps(trial)}
            waiting = [query for query in waiting if query.id not in kept]
        return done

    def _round(
        self, number: int, queries: Sequence[Query], before: Sequence[Sequence[Trial]], report: Report
    ) -> list[Trial]:
        asking = partial(report, f"round {number}: asking")
        with RewriteStore() as store:
            if self.prompting is None:
                # More samples keep those that are there, so that the rounds before are looked up and this one is new.
                every = all_answers(self.rewriter, queries, store, self.seed, self.samples * number, asking)
                found = [some[-self.samples :] for some in every]
            else:
                optimiser = self._optimiser(self.prompting, number, queries, before, report)
                found = all_answers(optimiser, queries, store, self.seed, self.samples, asking)
        _check(number, [answer for some in found for answer in some])
        made = [
            (query, trial)
            for query, some in zip(queries, found, strict=True)
            for answer in some
            for trial in _trials(query, answer)
        ]
        return self._judged(made, partial(report, f"round {number}: ranking"))

    def _judged(self, made: Sequence[tuple[Query, Trial]], progress: Callable[[int, int], None]) -> list[Trial]:
        """The trials with rank, cosine and, of those that find their image, meaning."""
        usable = [place for place, (_, trial) in enumerate(made) if trial.trouble is None]
        queries = [made[place][0] for place in usable]
        found = [trial for _, trial in made]
        rank, cosine = self.search.places(queries, [found[place].text for place in usable], progress)
        for place, one, other in zip(usable, rank.tolist(), cosine.tolist(), strict=True):
            found[place] = replace(found[place], rank=one, cosine=other)
        if self.meaning is not None:
            finds = [place for place in usable if self.bounds.finds(found[place])]
            scores = self.meaning.rewrites([made[place][0] for place in finds], [found[place].text for place in finds])
            for place, score in zip(finds, scores, strict=True):
                found[place] = replace(found[place], meaning=score)
        return found

    def _optimiser(
        self,
        prompting: Prompting,
        number: int,
        queries: Sequence[Query],
        before: Sequence[Sequence[Trial]],
        report: Report,
    ) -> LoadedRewriter:
        tried = nearest(before, self.bounds)
        texts = [tried.get(query.id, query.text) for query in queries]
        wrong = self.search.wrong(queries, texts, prompting.shown)
        feedback = {
            query.id: Feedback(text, tuple(found), query.positives[0])
            for query, text, found in zip(queries, texts, wrong, strict=True)
        }
        captions: Mapping[str, str] = {}
        if prompting.captions is not None:
            report("captioning", 0, 1)
            told = (image for one in feedback.values() for image in (*one.found, one.target))
            captions = prompting.captions(list(dict.fromkeys(told)))
        by_sample = {one.id: feedback[query.id] for query in queries for one in expand(query, self.samples)}
        made = self.rewriter.rewriter
        if not isinstance(made, Prompted):
            raise UserError(f"{self.rewriter.name} takes no prompt", fix="leave data.optimise out, or ask a chat model")
        gallery = self.search.gallery
        optimiser = Optimiser(made, prompting.template, by_sample, captions, gallery, number)
        return optimiser.loaded(self.rewriter.name)


def nearest(before: Sequence[Sequence[Trial]], bounds: Bounds) -> dict[str, str]:
    """By query id, of the last round the text that ranked the right image highest without being kept."""
    found: dict[str, Trial] = {}
    for trial in before[-1] if before else ():
        if trial.trouble is None and not bounds.keeps(trial):
            best = found.setdefault(trial.query_id, trial)
            if (trial.rank, -trial.cosine) < (best.rank, -best.cosine):
                found[trial.query_id] = trial
    return {key: trial.text for key, trial in found.items()}


def _trials(query: Query, answer: Rewrite) -> Iterator[Trial]:
    """What an answer gives to search with: each of its texts. What it cost is written beside the first."""
    concepts: tuple[str, ...] | None = None
    if CONCEPTS in answer.trace:
        concepts, _ = concepts_of.read(answer.trace[CONCEPTS])
    first = Trial(
        query.id, "", answer.fallback, concepts=concepts, unread=answer.trace.get(UNDETECTED),
        prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens, seconds=answer.seconds,
        cut=is_cut(answer),
    )  # fmt: skip
    if answer.fallback is None and not answer.texts:
        first = replace(first, trouble="no text")
    if first.trouble is not None:
        yield first
        return
    for place, text in enumerate(answer.texts):
        told = replace(first, text=text)
        yield told if place == 0 else replace(told, prompt_tokens=0, completion_tokens=0, seconds=0.0)


def _check(number: int, found: Sequence[Rewrite]) -> None:
    """Raises UserError where too many answers never came: written down, they would never be asked for again."""
    lost = Counter(str(answer.fallback) for answer in found if answers.failed(answer))
    if lost.total() > LOST * len(found):
        why, _ = lost.most_common(1)[0]
        raise UserError(
            f"{lost.total():,} of the {len(found):,} answers of round {number} never came, most for: {why}",
            fix="give the same command again: what came is kept",
        )
