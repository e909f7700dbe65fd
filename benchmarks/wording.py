"""Rewrites that find their images: are they still English, and do they still say what was asked for?

    python benchmarks/wording.py --task flickr30k-cn --rewriter llm --rewriter grape

On test queries of the miniature, greedy: recall; the share of the facts that the right image shows which the rewrites
say (parsed back); the share of pairs of neighbouring words that are known from the miniature's captions, in whatever
wording (word salad has few); the share of such pairs that a rewrite had said before; and words a rewrite.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from study.testing import open_test

from grapebench.cli import progress
from grapebench.errors import UserError
from grapebench.retrieval import open_retriever

COLUMNS = ("R@1", "R@10", "facts", "known_pairs", "repetition", "words")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", required=True)
    parser.add_argument("--rewriter", action="append", required=True, help="a card's name or path")
    parser.add_argument("--limit", type=int, default=10**6, help="so many test queries, spread evenly")
    arguments = parser.parse_args()
    print(f"| task | rewriter | {' | '.join(COLUMNS)} |\n|---|---|{'---:|' * len(COLUMNS)}")
    try:
        for task in arguments.task:
            test = open_test(task, open_retriever(None, "mini"), arguments.limit)
            for name in arguments.rewriter:
                probe = replace(test, card=name)
                with progress.staged(f"{task} · {name}") as report:
                    found = probe.figures(probe.rewriter({}), 0, report)
                figures = " | ".join(
                    f"{found[key]:.1f}" if key == "words" else f"{100 * found[key]:.1f}" for key in COLUMNS
                )
                print(f"| {task} | {name} | {figures} |", flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
