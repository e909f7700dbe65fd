"""The benchmarks whose names their packages have."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def study() -> ModuleType:
    return _command("study")


@pytest.fixture(scope="session")
def ablations() -> ModuleType:
    return _command("ablations")


@pytest.fixture(scope="session")
def trained() -> ModuleType:
    return _command("trained")


def _command(name: str) -> ModuleType:
    """A script whose name the package of its parts has, so that it cannot be imported by it."""
    spec = importlib.util.spec_from_file_location(f"{name}_command", BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module
