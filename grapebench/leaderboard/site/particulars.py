"""What the page of a result says of it beside its figures: names and texts, ready to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from grapebench.leaderboard import render

if TYPE_CHECKING:
    from grapebench.leaderboard.results import Result


def facts(result: Result) -> list[tuple[str, str]]:
    """What a reader asks first."""
    one = result.rewriter
    lines = [
        ("Rewriter", f"{one.name}: {one.title}" + (f", captions by {one.captioner}" if one.captioner else "")),
        ("Mechanism", one.mechanism),
        ("Task", f"{result.task}, split {result.split}, protocol {result.protocol}, revision {result.revision}"),
        ("Suite", f"{result.suite}, version {result.benchmark} of the rules"),
        ("Retriever", result.retriever.name),
        ("Searched", _searched(result)),
        ("Seed", str(result.seed)),
        ("Ties", f"{100 * result.ties:.1f} % of the queries") if result.labelled else ("Labels", "not public"),
        ("Fallbacks", _tally(result.fallbacks, result.queries)),
    ]
    lines += [("No concepts", _tally(result.undetected, result.queries))] if result.undetected else []
    lines += [("Unanswered", _tally(result.unanswered, result.queries))] if result.unanswered else []
    lines += [("Cut off", _tally(result.cut, result.queries))] if result.cut else []
    lines += [("Fewer answers", _tally(result.partial, result.queries))] if result.partial else []
    captions = ", ".join(f"{why} {count:,}" for why, count in sorted(result.uncaptioned.items()))
    lines += [("No caption", captions)] if captions else []
    lines += [("Not ranked", render.seen_before(result.seen))] if result.seen else []
    lines += [("Not ranked", f"an oracle: it {render.ORACLE}")] if one.oracle else []
    return lines


def _searched(result: Result) -> str:
    twins = f", {result.duplicates:,} of them duplicates" if result.duplicates else ""
    return f"{render.asked(result)}, {result.gallery:,} images{twins}"


def _tally(counts: Mapping[str, int], queries: int) -> str:
    told = ", ".join(f"{why} {count:,}" for why, count in sorted(counts.items()))
    return f"{told} of {queries:,}" if told else "none"


def inflation_lines(result: Result) -> list[tuple[str, str, str, str]]:
    """Name, before, after, and the difference of each mean cosine."""
    if result.inflation is None:
        return []
    names = {
        "positive": "to the right image",
        "top_others": "to the ten nearest others",
        "others": "to all others",
        "margin": "margin to the nearest other",
    }
    lines = []
    for field, name in names.items():
        before, after = (getattr(side, field) for side in (result.inflation.before, result.inflation.after))
        if before is not None and after is not None:
            lines.append((name, f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}"))
    return lines


def cost(result: Result) -> list[tuple[str, str]]:
    """What the rewriting took."""
    one, queries = result.cost, result.queries
    lines = [
        ("Tokens read", f"{one.prompt_tokens:,} ({one.prompt_tokens / queries:,.1f} a query)"),
        ("Tokens written", f"{one.completion_tokens:,} ({one.completion_tokens / queries:,.1f} a query)"),
        ("Rewriting", "not known" if one.ms_per_query is None else f"{one.ms_per_query:,.3f} ms a query"),
        ("Encoding", f"{one.encode_seconds:,.1f} s in this run"),
        ("Rewritten in this run", f"{one.rewritten:,} of {queries:,} queries"),
    ]
    lines += [("Paid", f"{one.money:.6g}")] if one.money else []
    if one.captions:
        lines.append(("Captions", f"{one.captions.images:,} images in {one.captions.seconds:,.1f} s"))
    return lines


def environment(result: Result) -> list[tuple[str, str]]:
    one = result.environment
    commit = "outside a checkout" if one.commit is None else one.commit + (", with local changes" if one.dirty else "")
    return [
        ("grapebench", one.grapebench),
        ("Commit", commit),
        ("Python", one.python),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in sorted(one.packages.items()))),
        ("Platform", one.platform),
        ("Processor", one.cpu),
        ("Accelerator", one.gpu or "none"),
        ("Made", result.created),
    ]


def hashes(result: Result, present: Iterable[str]) -> list[tuple[str, str, str]]:
    """What, its SHA-256, and whether a file is beside the result."""
    here = set(present)
    lines = [
        ("retriever", result.retriever.fingerprint, ""),
        ("rewriter", result.rewriter.fingerprint, ""),
        ("queries, labels and gallery", result.data.dataset, ""),
    ]
    lines += [("pixels", result.data.images, "")] if result.data.images else []
    lines += [(name, digest, "") for name, digest in sorted(result.data.files.items())]
    told = {True: "published", False: "left out"}
    return lines + [(name, digest, told[name in here]) for name, digest in sorted(result.files.items())]


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
