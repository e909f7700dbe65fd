"""What decides whether GRPO makes a better rewriter: rewards, pools, groups, KL, data, transfer, geometry.

    python benchmarks/study.py --out study
    python benchmarks/study.py --out study --only rewards pool
    python benchmarks/study.py --out study --draw

Every run is a training of the miniature under the same small budget of steps, about two minutes of one core, and a
test of what it made: `study/plan.py` holds all of them as data. A finished run is one line of `runs.jsonl` under
--out, by a hash of its settings and of the models' weights, and is never made again; a study that was killed goes on
where it was, within a training too. What parts have in common is trained once. Several processes may work in the same
folder: each takes what no other has taken (set OMP_NUM_THREADS, so that they share the cores). Tables (`tables.md`) and
pictures are drawn from what is there, also from half a study.

Recall, similarities and wording are of 1,000 test queries, by the checkpoint that is best by val R@10; the whole course
of the validations is kept beside them. Figures are means over the seeds with the standard deviation of trainings.
p-values are of R@10 averaged over the seeds, by sign flips of whole clusters, with Holm's correction over the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from study import geometry, kept, latency, plots, running, tables, variants, work
from study.plan import Part, plan

from grapebench.files import write_text

ANSWERS = "answers"
"""The part that asks what several answers cost."""
GEOMETRY = "geometry"
"""The part that compares retrievers."""


def run_all(parts: Mapping[str, Part], out: Path, keep: bool = False) -> None:
    """Perform every run that is not kept yet and that no other process performs; a run of several parts once."""
    running.run_all(list(dict.fromkeys(run for part in parts.values() for run in part.runs())), work, out, keep)
    if ANSWERS in parts:
        latency.keep(out)
    if GEOMETRY in parts:
        variant = {name: str(variants.folder_of(name, out / "retrievers")) for name in variants.VARIANTS}
        geometry.keep(out, {"mini-clip": None, **variant})


def draw(parts: Mapping[str, Part], out: Path) -> str:
    """Write tables and pictures of what is kept; the tables."""
    there = kept.read(out)
    runs = dict.fromkeys(run for part in parts.values() for run in part.runs())
    records = {run: there[key] for run in runs if (key := work.key(run)) in there}
    times, text = latency.kept(out), ""
    for part in parts.values():
        text += tables.table(part, records, times)
        if part.name == GEOMETRY and (found := geometry.kept(out)):
            text += f"What the retrievers are, on {geometry.TASK}:\n\n{geometry.table(found)}\n"
        text += "".join(f"![]({path.name})\n\n" for path in plots.draw(part, records, times, out))
    write_text(out / "tables.md", text)
    return text


def main(arguments: list[str] | None = None) -> int:
    parts = plan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the study's folder")
    parser.add_argument("--only", nargs="+", choices=list(parts), metavar="NAME", help=f"of {', '.join(parts)}")
    parser.add_argument("--draw", action="store_true", help="train nothing, draw what is there")
    parser.add_argument("--keep", action="store_true", help="keep the folders of the trainings")
    chosen = parser.parse_args(arguments)
    out = chosen.out.expanduser().resolve()  # a card's adapter would be looked for beside the card
    wanted = {name: part for name, part in parts.items() if not chosen.only or name in chosen.only}
    return running.told(lambda: None if chosen.draw else run_all(wanted, out, chosen.keep), lambda: draw(wanted, out))


if __name__ == "__main__":
    sys.exit(main())
