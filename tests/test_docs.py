"""What the documentation shows is run: files it titles are written, commands in `sh` blocks must succeed."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from tests import processes

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)

WITH_COMMANDS = [page for page in PAGES if "```sh" in page.read_text(encoding="utf-8")]


def write_run(path: Path, data: Path) -> None:
    """A run with the right image in the first place for the first three queries of CIRR's val."""
    records = json.loads((data / "captions" / "cap.rc2.val.json").read_text())[:3]
    path.write_text("".join(f"{one['pairid']} Q0 {one['target_hard']} 1 1.0 right\n" for one in records))


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_commands_of_the_page_succeed(page: Path, tmp_path: Path) -> None:
    annotations = os.environ.get("GRAPEBENCH_ANNOTATIONS")
    if annotations:
        (tmp_path / "path" / "to").mkdir(parents=True)
        (tmp_path / "path" / "to" / "cirr").symlink_to(Path(annotations) / "cirr")
        write_run(tmp_path / "my.trec", Path(annotations) / "cirr")
    for language, title, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if title:
            (tmp_path / title).write_text(body, encoding="utf-8")
        if language != "sh":
            continue
        for line in body.replace("\\\n", " ").splitlines():
            program, *arguments = shlex.split(line, comments=True) or ["#"]
            if program == "#" or ("--data" in arguments and not annotations):
                continue
            assert program == "grapebench", f"a block of commands in {page.name} holds something else: {line}"
            done = processes.run(arguments, tmp_path, tmp_path / "output")
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            assert done.stdout, f"{line}\nprints nothing"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_settings_at_scale_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That page's commands need GPUs and vLLM; its files are at least such as the libraries take."""
    from accelerate.commands.config.config_args import load_config_from_file

    from grapebench.cards import RewriterCard
    from grapebench.training import trainer
    from grapebench.training.config import fill, merged, read

    page = (ROOT / "docs" / "grape-at-scale.md").read_text(encoding="utf-8")
    for _, title, body in FENCE.findall(page):
        if title:
            (tmp_path / title).write_text(body, encoding="utf-8")
    settings = read(tmp_path / "flickr.toml")
    vllm = fill(merged(settings | {"batch": 56}, read(tmp_path / "vllm.toml")))
    full = fill(settings | {"full": True, "micro_batch": 8, "trl": {"bf16": True}})
    monkeypatch.setattr(trainer, "find_spec", lambda name: name)  # as if every package were there
    for config, count in ((fill(settings), 8), (vllm, 7), (full, 8)):
        trainer.check(config, count)
    assert trainer.arguments(vllm, tmp_path, 64, 7, False).vllm_mode == "server"
    RewriterCard.model_validate(read(tmp_path / "qwen3.toml"))
    for name in ("gpus.yaml", "zero2.yaml"):
        assert load_config_from_file(str(tmp_path / name)).num_processes == 8


def test_readme_starts_with_two_commands() -> None:
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert [body.strip() for _, _, body in FENCE.findall(first_screen)] == ["make run", "make test"]


def test_settings_of_raqo_for_real_models_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from grapebench.cards import RewriterCard
    from grapebench.rewriters import prompts
    from grapebench.training.config import read
    from grapebench.training.raqo.config import fill

    for _, title, body in FENCE.findall((ROOT / "docs" / "raqo.md").read_text(encoding="utf-8")):
        if title:
            (tmp_path / title).write_text(body, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert fill(read(tmp_path / "named.toml")).data.concepts == "named"
    card = RewriterCard.model_validate(read(tmp_path / "qwen.toml"))
    prompt = prompts.load(card.prompts, "translate", ROOT / "baselines")
    assert prompt is not None and prompt.detect
