"""How the process of a command ends."""

from __future__ import annotations

import subprocess
import sys

BEGINNING = """
import atexit, sys, threading, time
from grapebench import __main__
from grapebench.cli import main as module

class Kept:
    def __del__(self):
        print("taken apart")

kept = Kept()

def later():
    time.sleep(0.2)
    print("thread")
"""


def ended(main: str) -> subprocess.CompletedProcess[str]:
    code = f"{BEGINNING}\n{main}\nmodule.main = main\nsys.exit(__main__.command())\n"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)


def test_what_was_to_be_done_at_exit_is_done_and_nothing_is_taken_apart() -> None:
    done = ended("""
def main():
    atexit.register(print, "at exit")
    threading.Thread(target=later).start()
    sys.stdout.write("result ")
    return 3
""")
    assert (done.returncode, done.stdout, done.stderr) == (3, "result thread\nat exit\n", "")


def test_a_bug_is_told_and_exits_with_1() -> None:
    done = ended("def main():\n    raise ZeroDivisionError('a bug')")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Traceback") and done.stderr.endswith("ZeroDivisionError: a bug\n")


def test_a_reader_that_left_does_not_keep_it() -> None:
    done = ended("""
def main():
    sys.stdout.close()
    return 0
""")
    assert (done.returncode, done.stderr) == (0, "")
