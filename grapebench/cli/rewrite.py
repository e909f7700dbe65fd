"""`grapebench rewrite`: ask a chat model by file instead of one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grapebench.cli.asked import AllowSeen, Data, Languages, Limit, Protocol, Split, Suite

if TYPE_CHECKING:
    from grapebench.rewriters.batch_answers import Imported
    from grapebench.rewriters.batch_files import Manifest

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Ask a chat model by file: OpenAI's Batch API, `vllm run-batch`."
)


@app.command("export")
def export_(
    task: Annotated[str, typer.Option(help="A task card's name or path.")],
    rewriter: Annotated[str, typer.Option(help="The name or path of a card that asks a chat model.")],
    out: Annotated[Path, typer.Option(help="The file of requests, such as batch.jsonl.")],
    suite: Suite = "mini",
    retriever: Annotated[
        str | None,
        typer.Option(
            help="As in `grapebench run`; some captioners ask it what an image shows.", show_default="the suite's own"
        ),
    ] = None,
    captioner: Annotated[
        str | None,
        typer.Option(help="As in `grapebench run`.", show_default="the rewriter's own"),
    ] = None,
    split: Split = None,
    seed: Annotated[int, typer.Option(help="Of the rewriter.")] = 0,
    limit: Limit = None,
    protocol: Protocol = None,
    languages: Languages = None,
    data: Data = None,
    allow_seen: AllowSeen = False,
) -> None:
    """Write what has no stored answer yet and no running process is asking for, as OpenAI Batch JSONL.

    `grapebench rewrite import` reads the answers back; then `grapebench run` finds them stored.
    """
    import sys

    from grapebench import catalog
    from grapebench.cli import asked, progress
    from grapebench.errors import UserError
    from grapebench.evaluation import runner
    from grapebench.evaluation.measure import attach, captioned
    from grapebench.retrieval import open_retriever
    from grapebench.retrieval.searcher import Searcher
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.rewriters import batch_files, open_rewriter
    from grapebench.rewriters.captioners import open_captioner
    from grapebench.rewriters.setup import Setup
    from grapebench.rewriters.store import RewriteStore

    if suite not in ("mini", "full"):
        raise UserError(f"unknown suite {suite!r}", fix="there is: mini, full")
    out = out.expanduser()
    batch_files.check_free(out)
    opened = open_retriever(retriever, suite)
    loaded = asked.load(catalog.task_card(task).card, suite, split, data, protocol, languages)
    setup = Setup(loaded.suite, loaded.family, seed, loaded.root, task=task)  # type: ignore[arg-type]
    asking = open_rewriter(rewriter, setup)
    batch_files.prompted(asking)
    runner.check_seen(loaded, asking, allow_seen)
    if captioner is not None and asking.captioner is None:
        raise UserError("--captioner: nothing here reads captions", fix="leave it out, or choose another rewriter")
    embeddings = EmbeddingStore()
    attach(asking, Searcher(loaded.gallery, opened, embeddings))
    queries = loaded.queries[:limit]
    label, lost = f"{loaded.name} · {asking.name}", []
    if named := captioner or asking.captioner:
        describing = open_captioner(named, setup)
        with progress.staged(label) as report:
            queries = tuple(captioned(loaded, queries, opened, describing, embeddings, report))
        # What is asked with an empty caption now would be asked anew, and paid for twice, once the caption is there.
        lost = [query for query in queries if query.reference in describing.lost]
        queries = tuple(query for query in queries if query.reference not in describing.lost)
    with RewriteStore() as store:
        questions, claimed = batch_files.unanswered(asking, queries, store, seed)
    if claimed:
        print(f"{label}: another process is asking for {claimed:,} answers, which are left out", file=sys.stderr)
    if questions:
        manifest = batch_files.export(
            asking, questions, out, suite=loaded.suite, task=loaded.name, split=loaded.split, seed=seed
        )
        for part in manifest.parts:
            print(f"{out.with_name(part.name)}: {part.requests:,} requests for the model {manifest.model}")
    elif not lost:
        print(f"{label}: every answer is {'stored or on its way' if claimed else 'stored already'}, nothing to export")
    if lost:
        said = f"{len(lost):,} queries are left out, as the captions of their reference images never came"
        print(f"warning: {label}: {said}; the same command asks for these again", file=sys.stderr)
        raise typer.Exit(1)


@app.command("import")
def import_(
    answers: Annotated[list[Path], typer.Argument(help="Files of answers, and of errors where there are any.")],
    export: Annotated[
        Path | None,
        typer.Option(help="The file of requests.", show_default="FILE.jsonl for FILE.out.jsonl"),
    ] = None,
) -> None:
    """Check the answers to an export and store them.

    Lines that cannot be read are named and left out. The exit code is 1 while requests of the export have no stored
    answer: exported again, those alone are asked.
    """
    import sys

    from grapebench.errors import UserError
    from grapebench.rewriters import batch_answers, batch_files
    from grapebench.rewriters.store import RewriteStore

    paths = [path.expanduser() for path in answers]
    for path in paths:
        if not path.is_file():
            raise UserError("no such file", file=path)
    found = {batch_answers.find_manifest(path, export and export.expanduser()) for path in paths}
    if len(found) > 1:
        raise UserError("these answers belong to several exports", fix="import those of one export at a time")
    manifest = batch_files.load_manifest(found.pop())
    read = batch_answers.read_answers(paths, manifest)
    for place in read.broken:
        print(f"warning: {place}; left out", file=sys.stderr)
    with RewriteStore() as store:
        imported = batch_answers.put(read, manifest, store)
    _print(imported, manifest)
    if imported.missing:
        raise typer.Exit(1)


def _print(imported: Imported, manifest: Manifest) -> None:
    print(f"{manifest.about}: {imported.read:,} answers read, {imported.new:,} of them new")
    print(f"tokens: {imported.prompt_tokens:,} of prompts, {imported.completion_tokens:,} of answers")
    if imported.money:
        print(f"money, at the card's prices: {imported.money:.4f}")
    for title, counts in (
        ("cut off", imported.cut),
        ("of no use", imported.fallbacks),
        ("without concepts", imported.undetected),
        ("failed", imported.failures),
    ):
        if counts:
            print(f"{title}: " + ", ".join(f"{reason} {count:,}" for reason, count in counts.items()))
    total = len(manifest.texts)
    print(
        f"still without an answer: {imported.missing:,} of {total:,}" if imported.missing else f"all {total:,} stored"
    )
