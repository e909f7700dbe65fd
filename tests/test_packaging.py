from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from grapebench import catalog

CHECKOUT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(catalog.folder() != CHECKOUT, reason="packaging is tested from a checkout")


def run(*command: str | Path, **kwargs) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, CHECKOUT)
    return next(out.glob("*.whl"))


def test_wheel_holds_the_catalogue_and_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        prefix + path.relative_to(CHECKOUT).as_posix()
        for prefix, folder in [
            ("", "grapebench"),
            ("grapebench/_catalog/", "tasks"),
            ("grapebench/_catalog/", "baselines"),
            ("grapebench/_catalog/", "leaderboard"),
        ]
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert packed == wanted
    assert any(name.startswith("grapebench/_catalog/tasks/") for name in packed)


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    assert re.search(r"^License-Expression: Apache-2\.0$", metadata, re.MULTILINE)
    assert re.search(r"^Requires-Python: >=3\.11$", metadata, re.MULTILINE)


@pytest.mark.slow
def test_wheel_runs_the_main_job_outside_the_checkout(wheel: Path, tmp_path: Path, fresh_home: Path) -> None:
    place = tmp_path / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    # The libraries come from this environment; its own .pth files, with the path to the checkout, are not followed.
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    Path(site, "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")

    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = "from grapebench import catalog; print(catalog.folder())"
    folder = run(python, "-c", where, cwd=elsewhere, env=environment).stdout.strip()
    assert Path(folder) == Path(site).resolve() / "grapebench" / "_catalog"

    command = [place / "bin" / "grapebench", "run", "--task", "cirr", "--rewriter", "llm", "--limit", "20", "--json"]
    done = run(*command, cwd=elsewhere, env=environment)
    result = json.loads(done.stdout)
    assert (result["suite"], result["task"], result["rewriter"], result["queries"]) == ("mini", "cirr", "llm", 20)
    assert 0 <= result["metrics"]["R@1"] <= result["metrics"]["R@10"] <= 1
    assert list(elsewhere.iterdir()) == []


def needed(requirement: Requirement, seen: dict[str, set[str]]) -> None:
    """Adds what a requirement needs, installed here, to `seen`: name to the extras followed."""
    name = canonicalize_name(requirement.name)
    extras = {"", *requirement.extras} - seen.get(name, set())
    if not extras:
        return
    seen.setdefault(name, set()).update(extras)
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for inner in map(Requirement, lines):
        if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
            needed(inner, seen)


def test_constraints_pin_everything_that_is_installed_for_development() -> None:
    lines = [line for line in (CHECKOUT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    assert all(re.fullmatch(r"[\w.]+", version) for version in pins.values())
    pinned = {canonicalize_name(name) for name in pins}

    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    seen: dict[str, set[str]] = {"grapebench": {"", "test"}}
    for line in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        needed(Requirement(line), seen)
    for line in project["optional-dependencies"]["dev"]:
        needed(Requirement(line), seen)
    # torch pins what it brings for the GPU.
    own = {name for name in seen if re.match(r"nvidia-|cuda-|triton$|grapebench$", name)}
    assert set(seen) - own - pinned == set()


def imported() -> set[str]:
    """The distributions that the package imports anywhere, at the top or within a function."""
    modules = set()
    for path in (CHECKOUT / "grapebench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module or "")
    tops = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"grapebench"}
    providers = packages_distributions()
    # A module of an extra that is not installed here counts by its own name.
    return {canonicalize_name(providers.get(top, [top])[0]) for top in tops}


def test_declared_dependencies_are_those_that_are_imported() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    core = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    extras = project["optional-dependencies"]
    optional = {
        canonicalize_name(Requirement(line).name)
        for name, lines in extras.items()
        if name not in ("docs", "test", "dev")
        for line in lines
    }
    assert imported() - core - optional == set(), "imported, but not declared"
    assert core - imported() == set(), "declared, but never imported"


def test_lower_bounds_are_loose() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    for line in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        requirement = Requirement(line)
        if requirement.name != "grapebench":
            assert [part.operator for part in requirement.specifier] == [">="], line


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_says_when_there_is_no_python(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(CHECKOUT / name, tmp_path)
    done = subprocess.run(["make", "install", "PYTHON="], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: no Python 3.11 or newer found; name one: make PYTHON=/path/to/python3" in done.stderr
    assert not (tmp_path / ".venv").exists()
