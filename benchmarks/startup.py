"""How long a command takes before it does anything: the best of several runs, beside Python's own start.

    python benchmarks/startup.py

What they import is counted by tests; how long that takes is printed here, and nothing fails by it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

COMMANDS = {
    "python": ["-c", "pass"],
    "import grapebench": ["-c", "import grapebench"],
    "grapebench --help": ["-m", "grapebench", "--help"],
    "grapebench run --help": ["-m", "grapebench", "run", "--help"],
}


def fastest(arguments: list[str], repetitions: int) -> float:
    """Seconds by the clock of the fastest run: the others measure what else the machine was doing."""
    found = []
    for _ in range(repetitions):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        found.append(time.perf_counter() - began)
    return min(found)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args(arguments).repetitions
    print("| | seconds | times Python's own start |\n|---|---|---|")
    unit = None
    for name, command in COMMANDS.items():
        seconds = fastest(command, repetitions)
        unit = unit or seconds
        print(f"| {name} | {seconds:.2f} | {seconds / unit:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
