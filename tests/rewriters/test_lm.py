from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.records import Query, Rewrite
from grapebench.rewriters.lm import LanguageModel
from grapebench.rewriters.prompts import Prompt
from grapebench.rewriters.setup import Setup

PROMPT = Prompt("translate", "Say: $query", "Be short.")
QUERIES = [Query(str(n), "word " * (n % 5 + 1) + str(n)) for n in range(12)]


def make(folder: Path, seed: int = 0, prompt: Prompt = PROMPT, **settings: Any) -> LanguageModel:
    setup = Setup("mini", prompt.family, seed, folder, device="cpu")
    values = {"model": str(folder), "dtype": "float32", "max_new_tokens": 12} | settings
    return LanguageModel(LanguageModel.Settings(**values), setup, prompt)


def by_id(rewrites: Any) -> dict[str, Rewrite]:
    return {rewrite.query_id: rewrite for rewrite in rewrites}


def test_batches_do_not_change_greedy_answers(tiny_lm: Path) -> None:
    together = by_id(make(tiny_lm).rewrite(QUERIES))
    alone = by_id(itertools.chain.from_iterable(make(tiny_lm).rewrite([query]) for query in QUERIES))
    assert together == alone
    assert set(together) == {query.id for query in QUERIES}
    assert len({rewrite.raw for rewrite in together.values()}) > 6


@pytest.mark.parametrize("budget", [1, 120, 100_000])
def test_sampling_belongs_to_the_query(tiny_lm: Path, budget: int) -> None:
    """Neither the batch size, nor the order, nor what was asked before, changes a sampled answer."""
    whole = by_id(make(tiny_lm, seed=3, sample=True).rewrite(QUERIES))
    rest = by_id(make(tiny_lm, seed=3, sample=True, batch_tokens=budget).rewrite(QUERIES[:4:-1]))
    assert rest == {query_id: whole[query_id] for query_id in rest}
    other = by_id(make(tiny_lm, seed=4, sample=True).rewrite(QUERIES))
    assert sum(other[key].raw != whole[key].raw for key in whole) > 8


def test_equal_texts_are_sampled_apart(tiny_lm: Path) -> None:
    twins = [Query(str(n), "same") for n in range(6)]
    assert len({rewrite.raw for rewrite in make(tiny_lm, sample=True).rewrite(twins)}) > 3
    assert len({rewrite.raw for rewrite in make(tiny_lm).rewrite(twins)}) == 1


def test_the_token_budget_bounds_the_batches(tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    answer = LanguageModel._answer

    def spy(self: LanguageModel, loaded: Any, batch: Any) -> list[Rewrite]:
        sizes.append((len(batch), max(len(one.tokens) for one in batch)))
        return answer(self, loaded, batch)

    monkeypatch.setattr(LanguageModel, "_answer", spy)
    list(make(tiny_lm, batch_tokens=300).rewrite(QUERIES))
    assert sum(rows for rows, _ in sizes) == len(QUERIES)
    assert all(rows * (width + 12) <= 300 or rows == 1 for rows, width in sizes)
    assert max(rows for rows, _ in sizes) > 1


def test_a_long_query_is_cut_and_the_instruction_is_not(tiny_lm: Path) -> None:
    prompt = Prompt("translate", "$query -- END OF QUERY", "Be short.")
    model = make(tiny_lm, prompt=prompt)
    long = Query("long", "早い词 " * 300)
    (rewrite,) = model.rewrite([long])
    assert "cut prompt" in rewrite.trace
    assert 160 - 12 - 16 < rewrite.prompt_tokens <= 160 - 12
    (short,) = model.rewrite([Query("short", "a")])
    assert "cut prompt" not in short.trace
    from grapebench.rewriters import models

    chat = models.load(tiny_lm, None, "float32", "cpu")
    tokens = model._encode(chat, [long])[0].tokens
    assert "-- END OF QUERY" in chat.decode(tokens)


def test_an_instruction_without_room_is_an_error(tiny_lm: Path) -> None:
    with pytest.raises(UserError, match=r"query 'q' takes \d+ tokens without the query"):
        list(make(tiny_lm, prompt=Prompt("translate", "x" * 200 + "$query")).rewrite([Query("q", "a")]))


def test_tokens_and_unfinished_answers_are_counted(tiny_lm: Path) -> None:
    answers = list(make(tiny_lm, max_new_tokens=3).rewrite(QUERIES))
    assert all(answer.prompt_tokens > 20 for answer in answers)
    assert all(0 < answer.completion_tokens <= 3 for answer in answers)
    unfinished = [answer for answer in answers if "cut output" in answer.trace]
    assert unfinished and all(answer.completion_tokens == 3 for answer in unfinished)


def test_the_fingerprint_holds_what_changes_answers(tiny_lm: Path, tmp_path: Path) -> None:
    base = make(tiny_lm).fingerprint
    assert make(tiny_lm, batch_tokens=7, seed=5).fingerprint == base
    assert make(tiny_lm, temperature=0.5).fingerprint == base, "greedy decoding has no temperature"
    changed = [
        make(tiny_lm, max_new_tokens=13),
        make(tiny_lm, sample=True),
        make(tiny_lm, sample=True, temperature=0.5),
        make(tiny_lm, prompt=dataclasses.replace(PROMPT, system="Be long.")),
    ]
    assert len({base, *(model.fingerprint for model in changed)}) == 5


def test_a_prompt_and_a_model_are_needed(tiny_lm: Path, tmp_path: Path) -> None:
    setup = Setup("mini", "translate", 0, tmp_path, base=tmp_path)
    with pytest.raises(UserError, match="needs prompts"):
        LanguageModel(LanguageModel.Settings(model=str(tiny_lm)), setup, None)
    (tmp_path / "empty").mkdir()
    empty = LanguageModel(LanguageModel.Settings(model="empty"), setup, PROMPT)
    with pytest.raises(UserError, match="cannot be loaded as a language model"):
        list(empty.rewrite(QUERIES))
    with pytest.raises(UserError, match="no such folder"):
        LanguageModel(LanguageModel.Settings(model=str(tiny_lm), adapter="nowhere"), setup, PROMPT)


def test_a_full_gpu_halves_the_batch(tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    expected = by_id(make(tiny_lm).rewrite(QUERIES))
    generate = LanguageModel._generate

    def small(self: LanguageModel, loaded: Any, batch: Any) -> list[list[int]]:
        if len(batch) > 3:
            raise torch.cuda.OutOfMemoryError
        return generate(self, loaded, batch)

    monkeypatch.setattr(LanguageModel, "_generate", small)
    assert by_id(make(tiny_lm).rewrite(QUERIES)) == expected


def test_an_adapter_changes_answers_and_fingerprint(tiny_lm: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(tiny_lm)
    config = peft.LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    plain, adapted = make(tiny_lm), make(tiny_lm, adapter=str(tmp_path / "adapter"))
    before, after = by_id(plain.rewrite(QUERIES)), by_id(adapted.rewrite(QUERIES))
    assert sum(before[key].raw != after[key].raw for key in before) > 6
    assert plain.fingerprint != adapted.fingerprint


def test_a_model_that_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    from grapebench.rewriters import models

    def offline(*_: Any, **__: Any) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(UserError, match=r"no model 'org/model': .*the hub says: no network; .*hf download org/model"):
        models.locate("org/model", tmp_path, "main")
    with pytest.raises(UserError, match="gone: no such folder"):
        models.locate("./gone", tmp_path, "main")


def test_a_hub_model_is_told_by_its_commit(tiny_lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    from grapebench.rewriters import models

    asked: list[bool] = []

    def download(name: str, revision: str, local_files_only: bool = False, **_: Any) -> str:
        asked.append(local_files_only)
        if local_files_only:
            raise FileNotFoundError
        return str(tmp_path / "snapshots" / "c0ffee")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert models.locate("org/model", tmp_path, "main").identity == {"commit": "c0ffee"}
    assert asked == [True, False], "the cache is asked first"


def test_broken_or_incomplete_weights_are_one_sentence(tiny_lm: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "lm"
    shutil.copytree(tiny_lm, folder)
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    del tensors["model.norm.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lm: the weights lack 'model\.norm\.weight'"):
        list(make(folder).rewrite(QUERIES))
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(UserError, match="lm: cannot be loaded as a language model: "):
        list(make(folder).rewrite(QUERIES))


def test_a_device_that_is_not_there() -> None:
    from grapebench.rewriters import models

    with pytest.raises(UserError, match="unknown device 'abacus'"):
        models.load(Path("anywhere"), None, "auto", "abacus")


def test_the_chat_template_is_part_of_the_fingerprint(tiny_lm: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "lm"
    shutil.copytree(tiny_lm, folder)
    assert make(folder).fingerprint == make(tiny_lm).fingerprint, "a copy is the same model"
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert make(folder).fingerprint != make(tiny_lm).fingerprint
