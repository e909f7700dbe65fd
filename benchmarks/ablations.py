"""What each part of RAQO is for: the whole method beside what is left without one, as in table 4 of its paper.

    python benchmarks/ablations.py --out ablations
    python benchmarks/ablations.py --out ablations --draw

Two tasks of the miniature and three seeds: `ablations/plan.py` holds all runs and their settings. A finished run is
one line of `runs.jsonl` under --out, by a hash of its settings, of the models' weights and of the prompts, and is
never made again; what was killed goes on, within a stage too. Data are made once for each task and seed, and all
variants learn from the same. Several processes may work in the same folder: each takes what no other has taken (set
OMP_NUM_THREADS, so that they share the cores). The table (`ablations.md`) is made of what is there.

p-values are of R@10 averaged over the seeds, by sign flips of whole clusters, with Holm's correction over the table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ablations import tables, work
from ablations.plan import plan
from study import kept, running

from grapebench.files import write_text


def run_all(out: Path, keep: bool = False) -> None:
    """Perform all runs but those that other processes have taken."""
    runs = plan()
    while running.run_all(runs, work, out, keep):
        pass  # what had to wait for data that another process was building


def draw(out: Path) -> str:
    """Write the table of what is kept; the table."""
    there = kept.read(out)
    text = tables.table({run: there[key] for run in plan() if (key := work.key(run)) in there})
    write_text(out / "ablations.md", text)
    return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder of runs and table")
    parser.add_argument("--draw", action="store_true", help="train nothing, draw what is there")
    parser.add_argument("--keep", action="store_true", help="keep the folders of the trainings")
    chosen = parser.parse_args(arguments)
    out = chosen.out.expanduser().resolve()
    return running.told(lambda: None if chosen.draw else run_all(out, chosen.keep), lambda: draw(out))


if __name__ == "__main__":
    sys.exit(main())
