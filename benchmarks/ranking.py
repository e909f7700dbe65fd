"""How long exact ranks take beside what one would use instead, as ratios to the bare matrix product.

    python benchmarks/ranking.py --sizes 30000 300000 1000000

Every repetition runs every method once, in turn, so that a busy moment of the machine hits all of them. The unit is
the fastest bare float32 product of all queries with the whole gallery, into a reused block, over numpy, torch and
several block shapes. Methods that sort are timed on fewer queries and scaled, which is fair to them.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from grapebench.retrieval.ranking import count_ranks, examine

QUERIES = 1000
SORTED = 50
"""Queries that the sorting methods get."""
Method = Callable[[], object]


def unit(rng: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    matrix = rng.standard_normal((rows, dimension), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix


def problem(size: int, dimension: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random gallery, and queries that lie more or less near their targets: ranks from 1 to the middle."""
    rng = np.random.default_rng(size)
    gallery = unit(rng, size, dimension)
    targets = rng.integers(0, size, QUERIES)
    queries = unit(rng, QUERIES, dimension) + rng.uniform(0, 0.4, (QUERIES, 1)).astype(np.float32) * gallery[targets]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return queries, gallery, targets


def bare_numpy(queries: np.ndarray, gallery: np.ndarray, high: int, wide: int) -> Method:
    out = np.zeros(high * wide, np.float32)

    def run() -> None:
        for top in range(0, len(queries), high):
            rows = queries[top : top + high]
            for left in range(0, len(gallery), wide):
                part = gallery[left : left + wide]
                np.matmul(rows, part.T, out=out[: len(rows) * len(part)].reshape(len(rows), len(part)))

    return run


def bare_torch(queries: np.ndarray, gallery: np.ndarray, high: int, wide: int) -> Method:
    import torch

    left_side, right_side = torch.from_numpy(queries), torch.from_numpy(gallery)
    out = torch.zeros(high * wide)

    def run() -> None:
        for top in range(0, len(queries), high):
            rows = left_side[top : top + high]
            for left in range(0, len(gallery), wide):
                part = right_side[left : left + wide]
                torch.mm(rows, part.T, out=out[: len(rows) * len(part)].view(len(rows), len(part)))

    return run


def numpy_argsort(queries: np.ndarray, gallery: np.ndarray, targets: np.ndarray) -> Method:
    def run() -> None:
        scores = queries[:SORTED] @ gallery.T
        for row, target in zip(scores, targets, strict=False):
            order = np.argsort(-row)
            np.flatnonzero(order == target)

    return run


def torch_topk(queries: np.ndarray, gallery: np.ndarray, k: int) -> Method:
    import torch

    left_side, right_side = torch.from_numpy(queries), torch.from_numpy(gallery)
    high = max(1, min(QUERIES, 2**28 // (4 * len(gallery))))

    def run() -> None:
        for top in range(0, len(queries), high):
            (left_side[top : top + high] @ right_side.T).topk(k, dim=1)

    return run


def faiss_flat(queries: np.ndarray, gallery: np.ndarray, k: int) -> Method:
    import faiss

    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery)
    return lambda: index.search(queries, k)


def peak_over_inputs(method: Method) -> float:
    """GiB that the process grew by at most while a method ran (Linux; NaN elsewhere)."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return float("nan")

    def read(key: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(key))

    reset.write_text("5")
    before = read("VmRSS:")
    method()
    return (read("VmHWM:") - before) / 2**20


def measure(methods: dict[str, Method], scale: dict[str, float], repetitions: int, patience: float) -> dict[str, float]:
    """Median seconds of each method; one that is out of patience runs once."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for repetition in range(repetitions):
        for name, method in methods.items():
            if repetition and max(times[name]) / scale.get(name, 1) > patience:
                continue
            start = time.perf_counter()
            method()
            times[name].append((time.perf_counter() - start) * scale.get(name, 1))
            print(f"  {repetition + 1}/{repetitions} {name}: {times[name][-1]:.2f} s", file=sys.stderr)
    return {name: median(found) for name, found in times.items()}


def compare(size: int, dimension: int, repetitions: int, patience: float) -> None:
    queries, gallery, targets = problem(size, dimension)
    columns = [np.array([target]) for target in targets]
    shapes = [(QUERIES, min(size, 4096)), (QUERIES, min(size, 16384)), (min(QUERIES, 2**26 // size), size)]
    bare = {
        f"bare {library}, {high} x {wide}": make(queries, gallery, high, wide)
        for high, wide in dict.fromkeys(shapes)
        for library, make in (("numpy", bare_numpy), ("torch", bare_torch))
    }
    rivals: dict[str, Method] = {
        "**count_ranks**": lambda: count_ranks(queries, gallery, columns),
        "examine (ranks and similarities)": lambda: examine(queries, gallery, columns),
        "numpy argsort": numpy_argsort(queries, gallery, targets),
        **{f"torch topk, k = {k}": torch_topk(queries, gallery, k) for k in (10, 1000)},
    }
    memory = {name: peak_over_inputs(method) for name, method in rivals.items()}
    faiss_methods = {f"faiss IndexFlatIP, k = {k}": faiss_flat(queries, gallery, k) for k in (10, 1000)}
    memory |= {name: peak_over_inputs(method) for name, method in faiss_methods.items()}
    methods = bare | rivals | faiss_methods
    found = measure(methods, {"numpy argsort": QUERIES / SORTED}, repetitions, patience)
    unit_name = min(bare, key=lambda name: found[name])
    print(f"\n### {QUERIES} queries against {size:,} x {dimension}\n")
    print(f"Unit: {unit_name}, {found[unit_name]:.3f} s, median of {repetitions}.\n")
    print("| method | gives the rank | ratio | seconds | GiB beyond inputs |\n|---|---|---|---|---|")
    for name, seconds in found.items():
        ranks = "" if name in bare else f"up to {name.split()[-1]}" if "k =" in name else "yes"
        peak = f"{memory[name]:.2f}" if name in memory else ""
        print(f"| {name} | {ranks} | {seconds / found[unit_name]:.2f} | {seconds:.2f} | {peak} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[30_000, 300_000, 1_000_000])
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--patience", type=float, default=20, help="seconds after which a method is not repeated")
    arguments = parser.parse_args()
    print(f"numpy {np.__version__}, Python {platform.python_version()}, {platform.machine()}")
    for size in arguments.sizes:
        compare(size, arguments.dimension, arguments.repetitions, arguments.patience)


if __name__ == "__main__":
    main()
