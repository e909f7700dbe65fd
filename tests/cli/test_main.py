from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import grapebench
from grapebench import catalog
from grapebench.cli.main import main
from grapebench.errors import UserError

COMMANDS = ("run", "score", "show", "tasks", "rewriters", "retrievers", "data", "export", "leaderboard", "world")
TYPER = {"typer", "click", "annotated_doc", "shellingham", "typing_extensions"}
"""typer, and what releases of it import."""
SLOW = {"asyncio", "concurrent", "email", "http", "logging", "multiprocessing", "sqlite3", "ssl", "unittest", "xml"}
"""Of the standard library, what takes long and is asked for by the work, not by the help."""

HEAVY = {
    "numpy", "torch", "torchvision", "transformers", "tokenizers", "open_clip", "huggingface_hub", "safetensors",
    "scipy", "pandas", "pyarrow", "PIL", "jinja2", "rich", "trl", "peft", "datasets", "accelerate", "faiss", "openai",
    "lmdb",
}  # fmt: skip
"""What a command imports when it comes to work; pydantic is not here, for typer itself looks at it."""


def imported(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has imported when it has done `code`, beyond those of its start."""
    before, after = "before = set(sys.modules)", "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {before}; {code}; {after}"], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Makes `grapebench tasks` fail with an error from below."""

    def fail() -> list[str]:
        raise error

    monkeypatch.setattr(catalog, "task_names", fail)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^  {name}\s+[A-Z]", out, re.MULTILINE), f"{name} is not there, or says nothing of itself"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"Usage: grapebench {name}" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_is_quick_because_it_imports_typer_alone(option: str) -> None:
    """How long it takes is printed by benchmarks/startup.py."""
    modules = imported(f"from grapebench.cli.main import main; main([{option!r}])")
    roots = {name.partition(".")[0] for name in modules}
    assert "typer" in roots
    assert roots - sys.stdlib_module_names - {"grapebench"} <= TYPER
    assert not roots & SLOW
    parts = {name for name in modules if name.startswith("grapebench.") and not name.startswith("grapebench.cli")}
    assert parts <= {"grapebench.errors", "grapebench.files", "grapebench.paths"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_imports_nothing_heavy(name: str) -> None:
    roots = {
        one.partition(".")[0] for one in imported(f"from grapebench.cli.main import main; main([{name!r}, '--help'])")
    }
    assert "typer" in roots
    assert roots.isdisjoint(HEAVY)


def test_the_package_alone_imports_nothing_else() -> None:
    modules = imported("import grapebench")
    assert "grapebench" in modules
    assert {name.partition(".")[0] for name in modules} - sys.stdlib_module_names == {"grapebench"}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"grapebench {grapebench.__version__}\n"


def test_the_installed_script_is_this_main() -> None:
    script = Path(sys.executable).with_name("grapebench")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"grapebench {grapebench.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["taks"], "Did you mean 'tasks'?"),
        (["tasks", "--jsn"], "--json"),
        (["tasks", "too", "many"], "unexpected extra argument"),
        (["leaderboard", "biuld"], "Did you mean 'build'?"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert what in err
    assert out == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("is torn", file="a.json", line=3, fix="mend it"), "error: a.json:3: is torn; mend it"),
        (UserError("two\nlines"), "error: two lines"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), "error: /x/y: no space left on the device; free"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "error: /x: permission denied; check the perm"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "error: /x: no such file or directory"),
        (OSError("Can't load the model.\nIs it there?"), "error: Can't load the model. Is it there?"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, error)
    assert main(["tasks"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        main(["tasks"])


def test_an_interruption_exits_with_130_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert main(["tasks"]) == 130
    assert capsys.readouterr().err == "interrupted: the same command goes on where it was\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "grapebench", "rewriters", "--json"], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
