"""What grapebench itself costs: its share of a run with mini-lm, and how long a result takes from stored answers.

    python benchmarks/overhead.py

The run is `grapebench run --task flickr30k-cn --rewriter llm` on the miniature with an empty store (5,000 queries,
1,000 images), or of another task, rewriter and seeds. Its wall time is taken apart by timers around the places where
work is done; a timer stops while another one runs, so that they add up. Generating is the language model's work;
importing libraries, loading models, reading and encoding are the price of any evaluation; the rest is grapebench's own.

With `--served` the questions of `llm` go to mini-lm behind `transformers serve` on this machine, as they go to a server
of one's own; generating is then the time in which the run waits for answers.

Then, unless `--repetitions 0`, the same command makes the same result again from stored rewrites: with stored vectors,
and with vectors that have to be made. Beside each stands `python -c "import torch"`, in turn with it, so that a busy
moment of the machine hits both.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

import served

IMPORTED = ("torch", "transformers.models.auto.tokenization_auto", "open_clip", "pyarrow.parquet")
GENERATES = {"lm": "transformers.models.llama.modeling_llama", "api": "openai"}
"""What a mechanism imports beside these."""
GENERATE, LOAD, ENCODE = "generating", "loading models", "reading and encoding images and texts"
IMPORTS = "starting Python, importing libraries"
PLACES = {
    GENERATE: (
        "grapebench.rewriters.engines.lm:Transformers._generate",
        "grapebench.rewriters.engines.background:_wait",
    ),
    LOAD: ("grapebench.rewriters.models:load", "grapebench.retrieval.open_clip:OpenClip._load"),
    ENCODE: ("grapebench.retrieval.encode:image_vectors", "grapebench.retrieval.encode:text_vectors"),
    "own: reading the task": ("grapebench.datasets:load_task",),
    "own: hashing images": ("grapebench.datasets.images:Pictures.sha256",),
    "own: prompts, tokens, output": (
        "grapebench.rewriters.engines.lm:Transformers._encode",
        "grapebench.rewriters.models:Chat.decode",
        "grapebench.rewriters.prompted:Prompted.requests",
        "grapebench.rewriters.prompted:read",
    ),
    "own: hashing prompts": ("grapebench.rewriters.prompted:Prompted.rendered_sha256",),
    "own: rewrite store": (
        "grapebench.rewriters.store:RewriteStore.lookup",
        "grapebench.rewriters.store:RewriteStore.put",
        "grapebench.rewriters.store:_keys",
    ),
    "own: ranks": ("grapebench.evaluation.measure:side", "grapebench.evaluation.measure:listings"),
    "own: figures and intervals": ("grapebench.evaluation.beside:result_fields",),
    "own: files of the result": ("grapebench.evaluation.beside:write_files",),
    "own: printing": ("grapebench.cli.run:_print_tables",),
}
REST = "own: everything else"


class Clock:
    """Seconds by name; of nested timers only the innermost runs."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = [REST]
        self._since = time.perf_counter()

    def _switch(self) -> None:
        now = time.perf_counter()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        self._switch()
        self._open.append(name)
        try:
            yield
        finally:
            self._switch()
            self._open.pop()

    def wrap(self, name: str, place: str) -> None:
        """Time a function or method, by 'module:name' or 'module:Class.name', in the main thread."""
        module, _, path = place.partition(":")
        owner: Any = importlib.import_module(module)
        *classes, attribute = path.split(".")
        for part in classes:
            owner = getattr(owner, part)
        found = owner.__dict__[attribute]
        lazy = isinstance(found, functools.cached_property)
        function: Callable[..., Any] = found.func if lazy else found

        @functools.wraps(function)
        def around(*args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return function(*args, **kwargs)
            with self.timed(name):
                return function(*args, **kwargs)

        if lazy:
            replaced: Any = functools.cached_property(around)
            replaced.__set_name__(owner, attribute)
        else:
            replaced = around
        setattr(owner, attribute, replaced)


def profile(arguments: list[str], report: Path, mechanism: str) -> NoReturn:
    """One command of grapebench in this process; what it took is written to `report` as JSON."""
    clock = Clock()
    with clock.timed(IMPORTS):
        from grapebench.cli.main import GARBAGE, main

        gc.set_threshold(*GARBAGE)  # as `main` will do, which imports these where they are needed
        for name in (*IMPORTED, GENERATES[mechanism]):
            importlib.import_module(name)
    for name, places in PLACES.items():
        for place in places:
            clock.wrap(name, place)
    code = main(arguments)
    with clock.timed(REST):
        pass
    report.write_text(json.dumps(clock.seconds))
    sys.stdout.flush()
    os._exit(code)  # as the command ends


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def share(run: list[str], queries: str, mechanism: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "seconds.json"
        total = seconds([sys.executable, __file__, "--profile", mechanism, str(report), *run])
        found = json.loads(report.read_text())
    found[IMPORTS] += total - sum(found.values())
    own = sum(value for name, value in found.items() if name.startswith("own: "))
    print(f"\n### {queries}, nothing stored: {total:.1f} s\n")
    print("| | seconds | share |\n|---|---|---|")
    for name in (IMPORTS, *PLACES, REST):
        print(f"| {name} | {found.get(name, 0):.2f} | {100 * found.get(name, 0) / total:.1f} % |")
    print(f"| **grapebench's own** | {own:.2f} | {100 * own / total:.1f} % |")
    print(
        f"| everything but generating | {total - found[GENERATE]:.2f} | {100 * (1 - found[GENERATE] / total):.1f} % |"
    )


def again(run: list[str], home: Path, queries: str, repetitions: int) -> None:
    """From stored rewrites to a result, beside the import of torch."""
    commands = {
        "rewrites and vectors stored": lambda: None,
        "rewrites stored": lambda: shutil.rmtree(home / "cache" / "embeddings", ignore_errors=True),
    }
    bare = [sys.executable, "-c", "import torch"]
    times: dict[str, list[float]] = defaultdict(list)
    for repetition in range(repetitions):
        for name, prepare in commands.items():
            prepare()
            with tempfile.TemporaryDirectory() as out:
                times[name].append(seconds([sys.executable, "-m", "grapebench", *run, "--out", out]))
            times[f"import torch, beside: {name}"].append(seconds(bare))
        print(f"  {repetition + 1}/{repetitions}", {k: round(v[-1], 2) for k, v in times.items()}, file=sys.stderr)
    print(f"\n### {queries} to a result, median of {repetitions}\n")
    print("| | seconds | import torch | ratio | lowest ratio |\n|---|---|---|---|---|")
    for name in commands:
        mine, theirs = times[name], times[f"import torch, beside: {name}"]
        ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
        print(f"| {name} | {median(mine):.2f} | {median(theirs):.2f} | {median(ratios):.2f} | {min(ratios):.2f} |")


def main() -> int:
    if sys.argv[1:2] == ["--profile"]:
        profile(sys.argv[4:], Path(sys.argv[3]), sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="flickr30k-cn")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--rewriter", default="llm")
    asked.add_argument("--served", action="store_true", help="llm, by a server on this machine")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--limit", type=int, help="ask only the first so many queries")
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    run = ["run", "--task", arguments.task]
    run += [word for seed in arguments.seed for word in ("--seed", str(seed))]
    run += ["--limit", str(arguments.limit)] if arguments.limit else []
    queries = f"{'llm, served,' if arguments.served else arguments.rewriter} on {arguments.task}, "
    queries += f"the first {arguments.limit:,} queries" if arguments.limit else "all queries"
    queries += f", {len(arguments.seed)} seeds" if len(arguments.seed) > 1 else ""
    with tempfile.TemporaryDirectory() as home:
        os.environ["GRAPEBENCH_HOME"] = home
        print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
        # The miniature is drawn once and for all; that is no part of a run.
        drawn = [sys.executable, "-m", "grapebench", "run", "--task", arguments.task, "--rewriter", "identity"]
        seconds([*drawn, "--limit", "1", "--out", str(Path(home) / "drawn")])
        shutil.rmtree(Path(home) / "cache" / "embeddings")
        with served.server(Path(home) / "server.txt") if arguments.served else nullcontext() as url:
            rewriter = arguments.rewriter if url is None else served.card(Path(home), url)
            run += ["--rewriter", rewriter]
            share(run, queries, "lm" if url is None else "api")
            if arguments.repetitions:
                again(run, Path(home), queries, arguments.repetitions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
