"""Whether a published result is true: recomputed from its files, counted against the labels, searched or run again.

`verify` tolerates no difference where none is due. What cannot be checked here is said, never passed over.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grapebench.evaluation.measure import Report
from grapebench.leaderboard import results
from grapebench.leaderboard.bench import Bench
from grapebench.leaderboard.results import Result
from grapebench.leaderboard.verification import again, against, layout, recompute, recount, rerun, together
from grapebench.leaderboard.verification.findings import Findings
from grapebench.leaderboard.verification.tables import Tables
from grapebench.retrieval.store import EmbeddingStore

__all__ = ["Findings", "Search", "Verifier", "opened"]

Search = Literal["never", "needed", "always"]
"""Whether a result is searched again: 'needed' where its run files were not published."""


@dataclass(frozen=True)
class Verifier:
    """Verifies results one after the other; what they share is loaded once."""

    stores: Sequence[Path]
    """Folders of results, in which a result has its place."""
    bench: Bench
    embeddings: EmbeddingStore
    """Vectors of this session alone: those that the user's runs left are not taken on trust."""

    def verify(
        self, folder: Path, *, search: Search = "needed", run: bool = False, report: Report = lambda *_: None
    ) -> Findings:
        """Check one result; with `run` it is run from nothing as well."""
        found = Findings(folder)
        layout.check(found, self.stores)
        if found.result is None:
            return found
        with found.told():
            tables = recompute.check(found, found.result)
            self._against_data(found, found.result, tables, search, run, report)
        return found

    def _against_data(
        self,
        found: Findings,
        result: Result,
        tables: Tables | None,
        search: Search,
        run: bool,
        report: Report,
    ) -> None:
        task = self.bench.task(result)
        queries = against.asked(found, result, task)
        with found.told():
            against.check_rewriter(found, result, task, self.bench)
        if queries is None or (tables is None and result.labelled):
            return
        wrongs = len(found.problems)
        if tables is not None:
            against.check_rows(found, queries, tables.queries)
        if result.labelled:
            together.check(found, result, queries, tables)
        against.check_images(found, result, task, self.bench)
        if len(found.problems) > wrongs:
            return
        found.checked.append("data")
        has_run = (found.folder / results.RUN_FILE).is_file()
        if has_run:
            with found.told():
                recount.check(found, result, task, queries, tables, found.folder)
                found.checked.append("ranks against the run file")
        if search == "always" or (search == "needed" and not has_run):
            with found.told():
                retriever = self.bench.retriever(result)
                again.check(found, result, task, queries, tables, retriever, self.embeddings, report)
        elif not has_run:
            found.unchecked.append("ranks against the run file: it was not published")
        if run:
            with found.told():
                rerun.check(found, result, task, self.bench, report)


@contextmanager
def opened(stores: Sequence[Path]) -> Iterator[Verifier]:
    """A verifier, with a temporary folder for the vectors that it encodes."""
    with tempfile.TemporaryDirectory(prefix="grapebench-") as temporary:
        yield Verifier(stores, Bench(), EmbeddingStore(Path(temporary)))
