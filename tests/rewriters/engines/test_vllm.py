from __future__ import annotations

import ast
import base64
import dataclasses
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.rewriters.engines import Answer, Message, Request, served, vllm_process
from grapebench.rewriters.engines import vllm as engine
from grapebench.rewriters.engines.vllm import Vllm
from grapebench.rewriters.setup import Setup
from tests.rewriters.engines import fake_vllm
from tests.rewriters.engines.fake_vllm import Record

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SOURCE = "GRAPEBENCH_VLLM_SOURCE"
"""Names a folder that holds vLLM's package `vllm`, as it lies in its wheel; without it an installed one is read."""


def request(key: str, text: str, images: tuple[bytes, ...] = (), system: str = "Be short.") -> Request:
    def messages(kept: str) -> tuple[Message, ...]:
        return ({"role": "system", "content": system}, {"role": "user", "content": f"Say: {kept}"})

    return Request(
        key, messages(text), lambda length: messages(text[:length]) if text[:length] else None, len(text), images
    )


def by_key(answers: Iterable[Answer]) -> dict[str, Answer]:
    return {answer.key: answer for answer in answers}


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """The fake in place of vLLM."""
    made = Record()
    for name in ("vllm", "vllm.lora", "vllm.lora.request", "vllm.sampling_params"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(vllm_process, "_running", {})
    monkeypatch.setattr(fake_vllm.Tokenizer, "systems", True)
    monkeypatch.setenv("VLLM_CONFIGURE_LOGGING", "0")
    for name, module in fake_vllm.install(made).items():
        monkeypatch.setitem(sys.modules, name, module)
    yield made
    vllm_process._running.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder, as far as its identity goes."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"r": 4, "rank_pattern": {"q_proj": 12}}))
    (adapter / "adapter_model.safetensors").write_bytes(b"adapter")
    return tmp_path


def make(folder: Path, seed: int = 0, **settings: Any) -> Vllm:
    return Vllm(Vllm.Settings(**{"model": str(folder)} | settings), Setup("full", "translate", seed, folder))


def test_greedy_answers_come_with_their_tokens(record: Record, folder: Path) -> None:
    found = by_key(make(folder).answer([request("a", "one"), request("b", "two")]))
    assert {key: answer.raw for key, answer in found.items()} == {"a": "answer to Say: one", "b": "answer to Say: two"}
    assert found["a"].prompt_tokens == len("system:Be short.\nuser:Say: one\n")
    assert found["a"].completion_tokens == 3 and found["a"].failure is None and not found["a"].trace
    (chat,) = record.chats
    assert {how.temperature for how in chat["sampling_params"]} == {0.0}
    assert {how.max_tokens for how in chat["sampling_params"]} == {64}
    assert chat["use_tqdm"] is False and chat["lora_request"] is None
    assert chat["chat_template_kwargs"] == {"enable_thinking": False}


def test_an_answer_is_held_to_a_schema(record: Record, folder: Path) -> None:
    asked = dataclasses.replace(request("a", "one"), schema={"type": "object"})
    (found,) = make(folder).answer([asked])
    (how,) = record.chats[0]["sampling_params"]
    assert how.structured_outputs == fake_vllm.StructuredOutputsParams({"type": "object"}) and found.failure is None
    list(make(folder).answer([request("a", "one")]))
    assert record.chats[1]["sampling_params"][0].structured_outputs is None
    assert served.body(make(folder).settings, 0, asked)["response_format"]["json_schema"]["schema"] == {
        "type": "object"
    }


def test_an_older_vllm_holds_it_by_another_name(record: Record, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = sys.modules["vllm.sampling_params"]
    monkeypatch.delattr(older, "StructuredOutputsParams")
    monkeypatch.setattr(older, "GuidedDecodingParams", fake_vllm.StructuredOutputsParams, raising=False)
    assert engine._held({"type": "object"}) == {
        "guided_decoding": fake_vllm.StructuredOutputsParams({"type": "object"})
    }


def test_thinking_that_the_template_opens_is_thinking(
    record: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_vllm.Tokenizer, "opens", "assistant:<think>\n")
    (found,) = make(folder).answer([request("a", "one")])
    assert found.raw == "<think>answer to Say: one"
    monkeypatch.setattr(fake_vllm.Tokenizer, "opens", "assistant:<think>\n\n</think>\n\n")
    (found,) = make(folder).answer([request("a", "one")])
    assert found.raw == "answer to Say: one"
    assert record.chats[0]["sampling_params"][0].skip_special_tokens
    monkeypatch.setattr(fake_vllm.Tokenizer, "all_special_tokens", ("</s>", "[THINK]"))
    list(make(folder).answer([request("a", "one")]))
    assert not record.chats[2]["sampling_params"][0].skip_special_tokens


def test_texts_that_end_an_answer_go_with_each_request_and_into_the_identity(record: Record, folder: Path) -> None:
    plain, stopped = make(folder), make(folder, stop=["\n", "###"], sample=True)
    list(plain.answer([request("a", "one")]))
    list(stopped.answer([request("a", "one")]))
    assert [how.stop for chat in record.chats for how in chat["sampling_params"]] == [None, ["\n", "###"]]
    assert stopped.body(request("a", "one"))["stop"] == ["\n", "###"] and "stop" not in plain.body(request("a", "one"))
    assert "stop" not in plain.identity["generation"] and stopped.identity["generation"]["stop"] == ["\n", "###"]


def test_a_folder_without_a_model_is_told_before_vllm_starts(record: Record, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-q4.gguf")
    with pytest.raises(UserError, match=r"holds its weights as GGUF \(model-q4.gguf\), which are not read here"):
        list(make(folder).answer([request("a", "one")]))
    assert not record.options


def test_only_safetensors_are_loaded_and_the_card_says_the_rest(record: Record, folder: Path) -> None:
    list(make(folder, tensor_parallel=2, gpu_memory=0.5, max_model_len=300, dtype="bfloat16").answer([]))
    (options,) = record.options
    assert options["load_format"] == "safetensors"
    assert (options["tensor_parallel_size"], options["gpu_memory_utilization"]) == (2, 0.5)
    assert (options["max_model_len"], options["dtype"], options["enable_lora"]) == (300, "bfloat16", False)


def test_a_draw_belongs_to_the_request_and_the_seed(
    record: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [request(str(n), "same") for n in range(7)]
    whole = by_key(make(folder, sample=True, temperature=0.7, top_p=0.9).answer(asked))
    assert len({answer.raw for answer in whole.values()}) == 7
    assert {(how.temperature, how.top_p) for how in record.chats[0]["sampling_params"]} == {(0.7, 0.9)}
    monkeypatch.setattr(engine, "TOGETHER", 2)
    apart = by_key(make(folder, sample=True, temperature=0.7, top_p=0.9).answer(asked[::-1]))
    assert apart == whole
    assert [len(chat["messages"]) for chat in record.chats] == [7, 2, 2, 2, 1]
    other = by_key(make(folder, seed=1, sample=True, temperature=0.7, top_p=0.9).answer(asked))
    assert not {answer.raw for answer in other.values()} & {answer.raw for answer in whole.values()}


def test_seeds_and_tasks_share_one_engine_and_another_model_replaces_it(record: Record, folder: Path) -> None:
    for seed in range(3):
        list(make(folder, seed, sample=True).answer([request("a", "one")]))
    assert len(record.options) == 1
    list(make(folder, max_model_len=200).answer([request("a", "one")]))
    assert len(record.options) == 2
    assert record.most_running == 1  # two would not fit the GPU


def test_an_adapter_goes_with_every_request(record: Record, folder: Path) -> None:
    adapted = make(folder, adapter=str(folder / "adapter"))
    list(adapted.answer([request("a", "one")]))
    assert record.options[0]["enable_lora"] and record.options[0]["max_lora_rank"] == 16
    lora = record.chats[0]["lora_request"]
    assert lora.lora_path == str(folder / "adapter") and lora.lora_int_id > 0
    assert adapted.identity != make(folder).identity
    assert make(folder, tensor_parallel=8, gpu_memory=0.3).identity == make(folder).identity


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (json.dumps({"r": 4096}), "rank 4096, and vLLM takes adapters up to 512"),
        ('{"r": "many"}', "cannot be read as the settings of a LoRA adapter"),
        ("{", "cannot be read as the settings of a LoRA adapter"),
    ],
)
def test_an_adapter_that_vllm_cannot_take_is_named(record: Record, folder: Path, config: str, said: str) -> None:
    (folder / "adapter" / "adapter_config.json").write_text(config)
    with pytest.raises(UserError, match=f"adapter_config.json: {said}"):
        list(make(folder, adapter=str(folder / "adapter")).answer([request("a", "one")]))


def test_images_go_before_the_text_and_a_broken_one_fails_alone(record: Record, folder: Path) -> None:
    seeing = make(folder, image=True)
    found = by_key(seeing.answer([request("a", "one", (PNG,)), request("b", "two", (b"no image",))]))
    assert seeing.sees and record.options[0]["limit_mm_per_prompt"] == {"image": 1}
    assert found["a"].raw == "answer to Say: one"
    assert found["b"].failure is not None and found["b"].failure.startswith("refused: ")
    shown, said = record.chats[0]["messages"][0][-1]["content"]
    assert base64.b64decode(shown["image_url"]["url"].removeprefix("data:image/png;base64,")) == PNG
    assert said == {"type": "text", "text": "Say: one"}


def test_a_model_that_sees_nothing_is_shown_nothing(record: Record, folder: Path) -> None:
    record.multimodal = False
    with pytest.raises(UserError, match="sees no images; take image = true out of the card"):
        list(make(folder, image=True).answer([request("a", "one", (PNG,))]))


def test_a_text_too_long_loses_its_end(record: Record, folder: Path) -> None:
    long = request("a", "x" * 2000)
    (answer,) = make(folder, max_model_len=164, max_new_tokens=64).answer([long, request("b", "short")][:1])
    assert answer.prompt_tokens == 100
    kept = 100 - len("system:Be short.\nuser:Say: \n")
    assert answer.raw == "answer to Say: " + "x" * kept
    assert answer.trace["cut prompt"] == f"the first {kept} of 2000 characters of the query fit the model"


def test_an_instruction_too_long_is_an_error(record: Record, folder: Path) -> None:
    with pytest.raises(UserError, match="the prompt of query 'a' takes"):
        list(make(folder, max_model_len=80).answer([request("a", "one")]))


def test_why_an_answer_ended(record: Record, folder: Path) -> None:
    found = by_key(make(folder).answer([request("a", "LENGTH"), request("b", "ABORT"), request("c", "one")]))
    assert found["a"].raw == "answer to Say: LENGTH" and "cut output" in found["a"].trace
    assert found["b"].raw == "" and found["b"].failure == "vLLM ended it: abort"
    assert found["c"].failure is None and not found["c"].trace


def test_a_refused_request_fails_alone(record: Record, folder: Path) -> None:
    """Nor do the answers of others change hands, although this vLLM still answers what a failed call had handed in."""
    asked = [request(str(n), "REFUSED" if n in (3, 8) else f"text {n}") for n in range(11)]
    found = by_key(make(folder).answer(asked))
    assert set(found) == {one.key for one in asked}
    for n in range(11):
        if n in (3, 8):
            assert found[str(n)].failure == "refused: The decoder prompt is too long"
        else:
            assert found[str(n)].raw == f"answer to Say: text {n}"


def test_a_template_without_a_system_role(record: Record, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_vllm.Tokenizer, "systems", False)
    (answer,) = make(folder).answer([request("a", "one")])
    assert answer.raw == "answer to Be short.\n\nSay: one"
    assert [turn["role"] for turn in record.chats[0]["messages"][0]] == ["user"]


def test_a_breakdown_is_told_in_one_sentence(record: Record, folder: Path) -> None:
    with pytest.raises(UserError, match="^vLLM broke down: RuntimeError: EngineCore encountered an issue$"):
        list(make(folder).answer([request("a", "DEAD")]))


def test_what_cannot_start_is_told_in_one_sentence(record: Record, folder: Path) -> None:
    broken = folder / "broken"
    broken.mkdir()
    (broken / "model.safetensors").write_bytes(b"weights")
    for name in ("config.json", "tokenizer.json"):
        (broken / name).write_text("{}")
    with pytest.raises(UserError, match="broken: vLLM cannot start: no kernel image is available; it needs a GPU"):
        list(make(broken).answer([request("a", "one")]))


def test_what_vllm_prints_is_no_result(record: Record, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    list(make(folder).answer([request("a", "one")]))
    print("the result", flush=True)
    told = capfd.readouterr()
    assert told.out == "the result\n"
    assert "[Gloo]" in told.err


def test_without_vllm_a_card_opens_and_asking_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_process, "_running", {})
    monkeypatch.setattr(vllm_process, "find_spec", lambda name: None)
    opened = make(folder)
    assert opened.description["model"]["name"] == str(folder)
    assert opened.body(request("a", "one"))["max_tokens"] == 64
    with pytest.raises(UserError, match=r"vllm is not installed; install it with: pip install 'grapebench\[vllm\]'"):
        list(opened.answer([request("a", "one")]))


# What is called, held against vLLM's own sources.


class Package:
    """Classes of a Python package, read and not imported."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tree(self, *places: str) -> ast.Module:
        """The first of the modules that is there: they moved between versions."""
        path = next(self.root / place for place in places if (self.root / place).is_file())
        return ast.parse(path.read_text(encoding="utf-8"))

    def find(self, name: str, *places: str) -> ast.ClassDef:
        (found,) = (
            node for node in ast.walk(self.tree(*places)) if isinstance(node, ast.ClassDef) and node.name == name
        )
        return found


def method(made: ast.ClassDef, name: str) -> ast.FunctionDef:
    return [node for node in made.body if isinstance(node, ast.FunctionDef) and node.name == name][-1]


def fields(made: ast.ClassDef) -> list[str]:
    return [
        node.target.id for node in made.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]


def parameters(made: ast.FunctionDef) -> list[str]:
    return [one.arg for one in (*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs)]


def assigned(made: ast.FunctionDef) -> set[str]:
    """What a constructor sets of `self`."""
    targets = (
        target
        for node in ast.walk(made)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    )
    return {target.attr for target in targets if isinstance(target, ast.Attribute)}


@pytest.fixture
def package() -> Package:
    if SOURCE in os.environ:
        return Package(Path(os.environ[SOURCE]) / "vllm")
    found = importlib.util.find_spec("vllm") if "vllm" not in sys.modules else None
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"vLLM is not installed, and {SOURCE} names no sources of it")
    return Package(Path(found.submodule_search_locations[0]))


def fake_class(name: str) -> Any:
    held = {name: sys.modules.get(name) for name in ("vllm", "vllm.lora", "vllm.lora.request")}
    made = fake_vllm.install(Record())["vllm"].__dict__[name]
    for place, module in held.items():
        if module is None:
            del sys.modules[place]
        else:
            sys.modules[place] = module
    return made


def test_the_engine_takes_what_it_is_given(package: Package) -> None:
    made = package.find("LLM", "entrypoints/llm.py")
    taken = {*parameters(method(made, "__init__")), *fields(package.find("EngineArgs", "engine/arg_utils.py"))}
    assert method(made, "__init__").args.kwarg is not None  # the rest goes on to EngineArgs
    assert set(inspect.signature(fake_class("LLM")).parameters) <= taken
    assert set(inspect.signature(fake_class("LLM").get_tokenizer).parameters) == {"self"}
    assert len(parameters(method(made, "get_tokenizer"))) - len(method(made, "get_tokenizer").args.defaults) == 1


def test_chat_takes_what_it_is_given(package: Package) -> None:
    real = parameters(method(package.find("LLM", "entrypoints/llm.py"), "chat"))
    used = list(inspect.signature(fake_class("LLM").chat).parameters)
    assert used[:3] == real[:3] == ["self", "messages", "sampling_params"]
    assert set(used) <= set(real)


def test_sampling_parameters_and_adapters_have_their_fields(package: Package) -> None:
    made = package.find("SamplingParams", "sampling_params.py")
    held = {"structured_outputs", "guided_decoding"}  # the newer and the older name
    assert set(inspect.signature(fake_vllm.SamplingParams).parameters) - held <= set(fields(made))
    assert held & set(fields(made))
    lora = fields(package.find("LoRARequest", "lora/request.py"))
    assert lora[:3] == list(inspect.signature(fake_vllm.LoRARequest).parameters)


def test_answers_have_what_is_read_of_them(package: Package) -> None:
    assert set(fields(package.find("CompletionOutput", "outputs.py"))) >= {"text", "token_ids", "finish_reason"}
    made = package.find("RequestOutput", "outputs.py")
    assert assigned(method(made, "__init__")) >= {"outputs", "prompt_token_ids", "request_id"}
    tree = package.tree("v1/engine/__init__.py")
    (reasons,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FINISH_REASON_STRINGS"
    )
    assert {"stop", "length", "abort"} <= set(reasons)


def test_the_engine_says_what_its_model_is(package: Package) -> None:
    assert "llm_engine" in assigned(method(package.find("LLM", "entrypoints/llm.py"), "__init__"))
    assert "model_config" in assigned(method(package.find("LLMEngine", "v1/engine/llm_engine.py"), "__init__"))
    config = package.find("ModelConfig", "config/model.py", "config/__init__.py", "config.py")
    assert "max_model_len" in fields(config)
    assert [ast.unparse(one) for one in method(config, "is_multimodal_model").decorator_list] == ["property"]


def test_values_are_among_those_allowed(package: Package) -> None:
    ranks = {
        tuple(ast.literal_eval(node))
        for place in ("config/lora.py", "config/__init__.py", "config.py")
        if (package.root / place).is_file()
        for node in ast.walk(package.tree(place))
        if isinstance(node, ast.Tuple) and all(isinstance(one, ast.Constant) for one in node.elts)
        and ast.unparse(node).endswith("256, 320, 512)")
    }  # fmt: skip
    assert ranks and all(set(engine._RANKS) <= set(allowed) for allowed in ranks)
    place = next(
        place for place in ("config/load.py", "config/__init__.py", "config.py") if (package.root / place).is_file()
    )
    assert '"safetensors"' in (package.root / place).read_text(encoding="utf-8")


def test_a_server_takes_every_field_of_the_requests(package: Package, folder: Path) -> None:
    places = ("entrypoints/openai/chat_completion/protocol.py", "entrypoints/openai/protocol.py")
    taken = set(fields(package.find("ChatCompletionRequest", *places)))
    for settings in (Vllm.Settings(model="m"), Vllm.Settings(model="m", sample=True)):
        assert set(served.body(settings, 0, request("a", "one"))) <= taken


def test_batches_have_the_form_that_is_written_and_read(package: Package) -> None:
    places = ("entrypoints/launchers/run_batch.py", "entrypoints/openai/run_batch.py", "entrypoints/openai/protocol.py")
    path = next(
        place for place in places
        if (package.root / place).is_file() and "class BatchRequestInput" in (package.root / place).read_text()
    )  # fmt: skip
    assert fields(package.find("BatchRequestInput", path)) == ["custom_id", "method", "url", "body"]
    assert set(fields(package.find("BatchRequestOutput", path))) == {"id", "custom_id", "response", "error"}
    assert set(fields(package.find("BatchResponseData", path))) == {"status_code", "request_id", "body"}
