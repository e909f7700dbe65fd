"""Where a result was made: versions, commit, hardware. Asks without importing the libraries."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import grapebench
from grapebench.leaderboard.results import Environment

PACKAGES = ("torch", "open_clip_torch", "transformers", "tokenizers", "numpy", "pillow")


def environment() -> Environment:
    """The present machine. The accelerator is named where torch has been imported and sees one."""
    commit, dirty = _checkout(Path(grapebench.__file__).resolve().parent.parent)
    return Environment(
        grapebench=grapebench.__version__,
        commit=commit,
        dirty=dirty,
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=_cpu(),
        gpu=_gpu(),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _checkout(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and whether there are changes; a package installed inside some other project's checkout is in none."""
    if not (folder / ".git").exists():
        return None, None
    commit, status = git(folder, "rev-parse", "HEAD"), git(folder, "status", "--porcelain")
    return (commit.strip() if commit else None), (None if status is None else bool(status.strip()))


def git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _gpu() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())
