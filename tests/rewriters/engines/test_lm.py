from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.rewriters import models
from grapebench.rewriters.engines import Answer, Message, Request, decoding
from grapebench.rewriters.engines.lm import Transformers
from grapebench.rewriters.setup import Setup

CONTEXT = 160  # of the tiny model


def request(key: str, text: str, template: str = "Say: {}", system: str = "Be short.") -> Request:
    def messages(kept: str) -> tuple[Message, ...]:
        return ({"role": "system", "content": system}, {"role": "user", "content": template.format(kept)})

    return Request(key, messages(text), lambda length: messages(text[:length]) if text[:length] else None, len(text))


REQUESTS = [request(str(n), "word " * (n % 5 + 1) + str(n)) for n in range(12)]


def make(folder: Path, seed: int = 0, **settings: Any) -> Transformers:
    values = {"model": str(folder), "dtype": "float32", "max_new_tokens": 12} | settings
    return Transformers(Transformers.Settings(**values), Setup("mini", "translate", seed, folder, device="cpu"))


def by_key(answers: Iterable[Answer]) -> dict[str, Answer]:
    return {answer.key: answer for answer in answers}


def test_batches_do_not_change_greedy_answers(tiny_lm: Path) -> None:
    together = by_key(make(tiny_lm).answer(REQUESTS))
    alone = by_key(itertools.chain.from_iterable(make(tiny_lm).answer([one]) for one in REQUESTS))
    assert together == alone
    assert set(together) == {one.key for one in REQUESTS}
    assert len({answer.raw for answer in together.values()}) > 6


@pytest.mark.parametrize("budget", [1, 120, 100_000])
def test_sampling_belongs_to_the_key(tiny_lm: Path, budget: int) -> None:
    """Neither the batch size, nor the order, nor what was asked before, changes a sampled answer."""
    whole = by_key(make(tiny_lm, seed=3, sample=True).answer(REQUESTS))
    rest = by_key(make(tiny_lm, seed=3, sample=True, batch_tokens=budget).answer(REQUESTS[:4:-1]))
    assert rest == {key: whole[key] for key in rest}
    other = by_key(make(tiny_lm, seed=4, sample=True).answer(REQUESTS))
    assert sum(other[key].raw != whole[key].raw for key in whole) > 8


def test_equal_texts_are_sampled_apart(tiny_lm: Path) -> None:
    twins = [request(str(n), "same") for n in range(6)]
    assert len({answer.raw for answer in make(tiny_lm, sample=True).answer(twins)}) > 3
    assert len({answer.raw for answer in make(tiny_lm).answer(twins)}) == 1


def test_samples_share_their_prompts_tokens(tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenised: list[str] = []
    tokenise = models.Chat.tokenise

    def counted(chat: models.Chat, texts: Sequence[str]) -> list[list[int]]:
        tokenised.extend(texts)
        return tokenise(chat, texts)

    monkeypatch.setattr(models.Chat, "tokenise", counted)
    asked = [request(f"{text}#{n}", text) for n in range(5) for text in ("one", "two")]
    answers = by_key(make(tiny_lm, sample=True).answer(asked))
    assert len(answers) == 10 and len(tokenised) == len(set(tokenised)) == 2


def test_the_token_budget_bounds_the_batches(tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    answer = Transformers._answer

    def spy(self: Transformers, loaded: Any, batch: Any) -> list[Answer]:
        sizes.append((len(batch), max(len(one.tokens) for one in batch)))
        return answer(self, loaded, batch)

    monkeypatch.setattr(Transformers, "_answer", spy)
    list(make(tiny_lm, batch_tokens=300).answer(REQUESTS))
    assert sum(rows for rows, _ in sizes) == len(REQUESTS)
    assert all(rows * (width + 12) <= 300 or rows == 1 for rows, width in sizes)
    assert max(rows for rows, _ in sizes) > 1


def test_a_long_text_is_cut_and_the_instruction_is_not(tiny_lm: Path) -> None:
    model = make(tiny_lm)
    long = request("long", "早い词 " * 300, "{} -- END OF QUERY")
    (answer,) = model.answer([long])
    # As much as fits: one more character (of at most three bytes, which are tokens here) would be too much.
    assert CONTEXT - 12 - 3 < answer.prompt_tokens <= CONTEXT - 12
    (short,) = model.answer([request("short", "a")])
    assert short.trace.keys() <= {"cut output"}
    chat = models.load(tiny_lm, None, "float32", "cpu")
    (encoded,) = model._encode(chat, [long])
    told = chat.decode(encoded.tokens)
    assert "-- END OF QUERY" in told
    kept = told.split("user\n")[1].split(" -- END")[0]
    assert answer.trace["cut prompt"] == f"the first {len(kept)} of 1200 characters of the query fit the model"
    assert long.messages[1]["content"].startswith(kept) and len(kept) > 10


@pytest.mark.parametrize("text", ["a", "a long one"])
def test_an_instruction_without_room_is_an_error(tiny_lm: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"query 'q' takes 2\d\d tokens with one character of the query, and 148 are"):
        list(make(tiny_lm).answer([request("q", text, "x" * 200 + "{}")]))


def test_tokens_and_unfinished_answers_are_counted(tiny_lm: Path) -> None:
    answers = list(make(tiny_lm, max_new_tokens=3).answer(REQUESTS))
    assert all(answer.prompt_tokens > 20 for answer in answers)
    assert all(0 < answer.completion_tokens <= 3 for answer in answers)
    unfinished = [answer for answer in answers if "cut output" in answer.trace]
    assert unfinished and all(answer.completion_tokens == 3 for answer in unfinished)


def test_the_identity_holds_what_changes_answers(tiny_lm: Path) -> None:
    base = make(tiny_lm).identity
    assert make(tiny_lm, batch_tokens=7, compile=True, seed=5).identity == base
    assert make(tiny_lm, temperature=0.5).identity == base, "greedy decoding has no temperature"
    changed = [
        make(tiny_lm, max_new_tokens=13).identity,
        make(tiny_lm, dtype="bfloat16").identity,
        make(tiny_lm, sample=True).identity,
        make(tiny_lm, sample=True, temperature=0.5).identity,
        make(tiny_lm, sample=True, top_p=0.5).identity,
    ]
    assert len({str(one) for one in (base, *changed)}) == 6


def test_a_folder_without_a_model(tiny_lm: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is empty, so it is no model in Hugging Face format"):
        list(make(tmp_path / "empty").answer(REQUESTS))
    with pytest.raises(UserError, match="no such folder"):
        make(tiny_lm, adapter="nowhere")


def test_a_full_gpu_halves_the_batch(tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    requests = [*REQUESTS, *(request(f"3#{n}", "word " * 4 + "3") for n in range(1, 8))]
    expected = by_key(make(tiny_lm, sample=True).answer(requests))
    generate = Transformers._generate

    def small(self: Transformers, loaded: Any, batch: Any) -> list[list[int]]:
        if len(batch) > 3:
            raise torch.cuda.OutOfMemoryError
        return generate(self, loaded, batch)

    monkeypatch.setattr(Transformers, "_generate", small)
    assert by_key(make(tiny_lm, sample=True).answer(requests)) == expected


def test_half_precision_answers(tiny_lm: Path) -> None:
    import torch

    answers = list(make(tiny_lm, dtype="bfloat16").answer(REQUESTS))
    assert len(answers) == len(REQUESTS)
    assert models.load(tiny_lm, None, "bfloat16", "cpu").model.dtype == torch.bfloat16


def test_an_adapter_changes_answers_and_identity(tiny_lm: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(tiny_lm)
    config = peft.LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    plain, adapted = make(tiny_lm), make(tiny_lm, adapter=str(tmp_path / "adapter"))
    before, after = by_key(plain.answer(REQUESTS)), by_key(adapted.answer(REQUESTS))
    assert sum(before[key].raw != after[key].raw for key in before) > 6
    twice = [request(f"{one.key}#1", one.messages[1]["content"].removeprefix("Say: ")) for one in REQUESTS[:3]]
    doubled = by_key(adapted.answer([*REQUESTS, *twice]))
    assert all(doubled[f"{key}#1"].raw == doubled[key].raw == after[key].raw for key in "012")
    assert plain.identity != adapted.identity


def test_an_adapter_of_other_weights_is_refused(tiny_lm: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    models.write_base(adapter, models.locate(str(tiny_lm), tmp_path, "main"))
    assert make(tiny_lm, adapter=str(adapter)).adapter is not None
    (adapter / models.BASE).write_text('{"sha256": "another"}')
    with pytest.raises(UserError, match="trained on other weights than those in .*; name its own model"):
        make(tiny_lm, adapter=str(adapter))
    (adapter / models.BASE).write_text("{")
    with pytest.raises(UserError, match=r"base\.json: does not say which model"):
        make(tiny_lm, adapter=str(adapter))


def test_a_compiled_model_is_asked_for_as_such(tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the setting reaches torch.compile; compiling itself takes a compiler and a minute."""
    import torch

    compiled: list[Any] = []

    def compile_(forward: Any, dynamic: bool) -> Any:
        compiled.append(dynamic)
        return forward

    monkeypatch.setattr(torch, "compile", compile_)
    models.load.cache_clear()
    assert by_key(make(tiny_lm, compile=True).answer(REQUESTS)) == by_key(make(tiny_lm).answer(REQUESTS))
    assert compiled == [True]


def test_thinking_that_the_template_opens_is_thinking(tiny_lm: Path, tmp_path: Path) -> None:
    """The template's own mark stands before the answer, which goes on from there."""
    folder = tmp_path / "thinks"
    shutil.copytree(tiny_lm, folder)
    template = folder / "chat_template.jinja"
    plain = template.read_text()
    template.write_text(plain + "{% if add_generation_prompt %}<think>\n{% endif %}")
    assert all(answer.raw.startswith("<think>") for answer in make(folder).answer(REQUESTS[:3]))
    models.load.cache_clear()
    template.write_text(plain + "{% if add_generation_prompt %}<think>\n\n</think>\n{% endif %}")
    assert not any(answer.raw.startswith("<think>") for answer in make(folder).answer(REQUESTS[:3]))


class _Marks:
    """A tokenizer whose first three tokens are special."""

    words = ("[THINK]", "[/THINK]", "</s>", "hm", "a kite")
    all_special_tokens = words[:3]

    def decode(self, tokens: list[int], skip_special_tokens: bool) -> str:
        return "".join(self.words[token] for token in tokens if token > 2 or not skip_special_tokens)


def test_special_tokens_stay_where_they_mark_thinking() -> None:
    assert models.decode(_Marks(), [0, 3, 1, 4, 2]) == "[THINK]hm[/THINK]a kite</s>"
    assert models.decode(_Marks(), [4, 2]) == "a kite"
    assert models.marks_thinking(_Marks())


def test_an_answer_ends_before_a_text_of_stop_and_is_not_cut(tiny_lm: Path) -> None:
    """Against cutting the whole answers by hand, greedy and sampled."""
    for sample in (False, True):
        plain = by_key(make(tiny_lm, sample=sample).answer(REQUESTS))
        stop = sorted({answer.raw[3] for answer in plain.values() if len(answer.raw) > 3})[:3]
        assert stop
        stopped = by_key(make(tiny_lm, sample=sample, stop=stop).answer(REQUESTS))
        found = 0
        for key, whole in plain.items():
            place = min((at for one in stop if (at := whole.raw.find(one)) >= 0), default=None)
            if place is None:
                assert stopped[key] == whole
                continue
            found += 1
            assert stopped[key].raw == whole.raw[:place]
            assert "cut output" not in stopped[key].trace
            assert 0 < stopped[key].completion_tokens <= whole.completion_tokens
        assert found > 2


def test_stop_changes_the_identity_only_where_it_is_set(tiny_lm: Path) -> None:
    plain, stopped = make(tiny_lm), make(tiny_lm, stop=["\n"])
    assert "stop" not in plain.identity[-1] and plain.identity == make(tiny_lm, stop=[]).identity
    assert stopped.identity != plain.identity and stopped.description["generation"]["stop"] == ["\n"]
    assert stopped.body(REQUESTS[0])["stop"] == ["\n"] and "stop" not in plain.body(REQUESTS[0])
    with pytest.raises(ValueError, match="at least 1 character"):
        make(tiny_lm, stop=[""])


def test_the_first_batches_are_small_and_answers_come_before_their_batch_is_done(
    tiny_lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    rounds: list[int] = []
    stream, generate = decoding.stream, tiny(tiny_lm).generate

    def spy(chat: Any, prompts: Any, *more: Any) -> Any:
        sizes.append(len(prompts))
        return stream(chat, prompts, *more)

    def counted(**options: Any) -> Any:
        rounds.append(len(options["input_ids"]))
        return generate(**options)

    monkeypatch.setattr(decoding, "stream", spy)
    monkeypatch.setattr(tiny(tiny_lm), "generate", counted)
    many = [request(str(n), f"word {n}") for n in range(100)]
    settings: dict[str, Any] = {"batch_tokens": 100_000, "max_new_tokens": 24, "sample": True, "stop": ["e", "a", "o"]}
    came = [len(rounds) for _ in make(tiny_lm, **settings).answer(many)]
    assert sizes == [8, 32, 60]
    assert len(set(came)) > len(sizes), "answers of one batch come after different rounds"


KILLED = """
import os, signal
from pathlib import Path
from grapebench.records import Query
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.store import RewriteStore, rewrite_all

queries = [Query(str(n), f"ein rotes Quadrat und {n} blaue Kreise", language="de") for n in range(40)]
loaded = open_rewriter("llm", Setup("mini", "translate", 0, Path("."), device="cpu", task="xm3600"))

def progress(done, total):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)

rewrite_all(loaded, queries, RewriteStore(Path("rewrites.sqlite")), 0, progress)
"""


def test_a_run_that_is_killed_in_its_first_batch_keeps_what_was_answered(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert ended.returncode == -signal.SIGKILL
    with sqlite3.connect(tmp_path / "rewrites.sqlite") as stored:
        assert stored.execute("SELECT count(*) FROM rewrites").fetchone() == (5,)


def tiny(folder: Path) -> Any:
    return models.load(folder, None, "float32", "cpu", False).model
