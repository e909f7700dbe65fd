"""Log-probabilities are those of each row alone, whatever is shared and however the output layer is computed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import transformers

from grapebench.training import head, likelihood

PROMPTS = [[7, 8, 9, 10, 11, 12, 13], [12, 13], [7, 8, 9, 10, 11, 12, 13], [12, 13], [14]]
ANSWERS = [[20, 21, 2], [22, 2], [23, 24, 25], [2], [26, 27]]
SMALL: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_hidden_layers": 3,
    "max_position_embeddings": 64,
    "head_dim": 16,
    "initializer_range": 0.3,
}
WINDOW = {"sliding_window": 4}
TYPES = ["sliding_attention", "full_attention", "sliding_attention"]
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("Llama", {}),
    "bias": ("Phi", {}),
    "learned positions": ("GPT2", {"n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 64}),
    "soft-capped, windows": ("Gemma2", WINDOW | {"final_logit_softcapping": 3.0, "query_pre_attn_scalar": 16}),
    "some windows": ("Gemma3Text", WINDOW | {"layer_types": TYPES, "query_pre_attn_scalar": 16}),
    "windows of some layers": ("Qwen2", WINDOW | {"use_sliding_window": True, "max_window_layers": 1}),
    "windows": ("Mistral", WINDOW),
    "divided": ("Granite", {"logits_scaling": 4.0}),
    "multiplied": ("Cohere", {"logit_scale": 0.25}),
    "states": ("Mamba", {"num_hidden_layers": 2}),
}


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> Any:
    return make(request.param)


def make(kind: str) -> Any:
    name, values = KINDS[kind]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SMALL | values, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    made = transformers.AutoModelForCausalLM.from_config(config)
    if kind == "bias":
        torch.nn.init.normal_(made.lm_head.bias)
    return made.eval()


def batch(prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = list(zip(prompts, ANSWERS, strict=True))
    before, after = max(map(len, prompts)), max(map(len, ANSWERS))
    tokens = [[0] * (before - len(p)) + p + a + [0] * (after - len(a)) for p, a in rows]
    mask = [[0] * (before - len(p)) + [1] * len(p + a) + [0] * (after - len(a)) for p, a in rows]
    return torch.tensor(tokens), torch.tensor(mask)


def gradients(model: Any) -> dict[str, torch.Tensor]:
    found = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    model.zero_grad()
    return found


def alone(model: Any, temperature: float = 1.0) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Log-probabilities and entropies of each row, by itself, without padding, from all of the model's logits."""
    found = []
    for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
        made = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        every = (made.float() / temperature).log_softmax(-1)
        found.append((every[torch.arange(len(answer)), answer], -(every.exp() * every).sum(-1)))
    return [one for one, _ in found], [one for _, one in found]


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("share", [False, True])
def test_each_row_alone_says_the_same(model: Any, share: bool, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if few:
        monkeypatch.setattr(head, "LOGITS", 3 * 40 + 39)  # three tokens at a time, of ten
    tokens, mask = batch(PROMPTS)
    found, entropies = likelihood.of_answers(model, model, tokens, mask, 3, share, 0.7, "learned")
    assert entropies is not None and found.dtype == entropies.dtype == torch.float32
    (found.square().sum() + entropies.square().sum()).backward()
    ours = gradients(model)
    chances, spreads = alone(model, 0.7)
    for made, wanted in ((found, chances), (entropies, spreads)):
        for row, one in enumerate(wanted):
            torch.testing.assert_close(made[row, : len(one)], one, rtol=1e-4, atol=1e-4)
            assert not made[row, len(one) :].any(), "0 where the mask is"
    sum(one.square().sum() for one in chances + spreads).backward()  # type: ignore[union-attr]
    theirs = gradients(model)
    assert ours.keys() == theirs.keys()
    for name, one in theirs.items():
        torch.testing.assert_close(ours[name], one, rtol=1e-3, atol=2e-3 * max(1.0, float(one.abs().max())))


@pytest.mark.parametrize("kind", ["plain", "soft-capped, windows", "divided", "multiplied"])
def test_in_bf16_no_further_off_than_the_plain_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "LOGITS", 3 * 40)
    exact, model = make(kind), make(kind).to(torch.bfloat16)
    exact.load_state_dict(model.state_dict())
    tokens, mask = batch(PROMPTS)
    said = mask[:, -3:].bool()
    wanted, _ = likelihood.of_answers(exact, exact, tokens, mask, 3)
    wanted[said].sum().backward()
    exact_gradients = gradients(exact)
    errors = []
    for plain in (True, False):
        if plain:
            made = model(input_ids=tokens, attention_mask=mask, logits_to_keep=4).logits[:, :-1].float()
            found = made.log_softmax(-1).gather(-1, tokens[:, -3:, None])[..., 0]
        else:
            found, _ = likelihood.of_answers(model, model, tokens, mask, 3)
        found[said].sum().backward()
        near = gradients(model)
        off = [float((near[name].float() - one).norm() / one.norm()) for name, one in exact_gradients.items()]
        errors.append((float((found - wanted)[said].detach().abs().max()), max(off)))
    (plain_value, plain_gradient), (value, gradient) = errors
    assert value <= 1.5 * plain_value + 0.02 and gradient <= 1.5 * plain_gradient + 0.02


def test_the_output_layer_sees_few_rows_at_a_time_contiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "LOGITS", 3 * 40)
    model = make("plain")
    seen: list[tuple[int, ...]] = []

    def see(_: Any, given: tuple[torch.Tensor]) -> None:
        assert given[0].is_contiguous()
        seen.append(tuple(given[0].shape[:2]))

    model.lm_head.register_forward_pre_hook(see)
    found, _ = likelihood.of_answers(model, model, *batch(PROMPTS), 3)
    once = [(1, 1), (1, 1), (1, 3), (1, 3), (1, 3), (1, 2)]  # the mean by the model itself and by us, then the answers
    assert seen == once
    found.sum().backward()
    assert sorted(seen[len(once) :]) == sorted(once[2:]), "computed again on the way back"


@pytest.mark.parametrize("broken", ["shifts", "raises"])
def test_an_output_layer_that_is_not_known_is_the_models_own(broken: str) -> None:
    """A forward that does to logits what hidden states alone do not say."""

    class Own(type(make("plain"))):  # type: ignore[misc]
        def forward(self, input_ids: Any = None, **more: Any) -> Any:
            if broken == "raises" and input_ids is None:
                raise KeyError("input_ids")
            made = super(type(self.itself), self.itself).forward(input_ids=input_ids, **more)
            shift = 0 if input_ids is None else torch.arange(made.logits.shape[-1]) / 10
            made.logits = made.logits + shift
            return made

    model = make("plain")
    model.__class__ = Own
    object.__setattr__(model, "itself", model)
    tokens, mask = batch(PROMPTS)
    found, _ = likelihood.of_answers(model, model, tokens, mask, 3)
    for row, one in enumerate(alone(model)[0]):
        torch.testing.assert_close(found[row, : len(one)], one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["plain", "some windows"])
@pytest.mark.parametrize(
    ("prompts", "share", "sizes"),
    [
        (PROMPTS, True, [(3, 6), (5, 4)]),
        (PROMPTS, False, [(5, 10)]),
        ([[3], [4], [3], [3], [4]], True, [(5, 4)]),
        ([[3, 9], [4, 9], [5, 9], [6, 9], [7, 9]], True, [(5, 5)]),
    ],
)
def test_each_prompt_is_computed_once(
    kind: str, prompts: list[list[int]], share: bool, sizes: list[tuple[int, int]]
) -> None:
    model = make(kind)
    seen = []
    model.base_model.register_forward_pre_hook(
        lambda _, args, options: seen.append(tuple(options["input_ids"].shape)), with_kwargs=True
    )
    found, none = likelihood.of_answers(model, model, *batch(prompts), 3, share)
    assert found.shape == (5, 3) and none is None
    assert seen == sizes


def test_nothing_said_has_a_gradient_of_zero() -> None:
    model = make("plain")
    tokens, mask = batch(PROMPTS)
    mask[:, -3:] = 0
    found, _ = likelihood.of_answers(model, model, tokens, mask, 3)
    assert not found.any()
    found.sum().backward()
    assert not any(one.any() for one in gradients(model).values())


def test_an_adapter_on_the_output_layer_learns() -> None:
    from peft import LoraConfig, get_peft_model

    plain = make("soft-capped, windows")
    model = get_peft_model(copy.deepcopy(plain), LoraConfig(target_modules=["lm_head", "q_proj"], r=2))
    for name, one in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(one, std=0.1)
    found, _ = likelihood.of_answers(model, model.get_base_model(), *batch(PROMPTS), 3)
    wanted, _ = alone(model)
    for row, one in enumerate(wanted):
        torch.testing.assert_close(found[row, : len(one)], one, rtol=1e-4, atol=1e-4)
    found.sum().backward()
    learnt = gradients(model)
    assert any("lm_head" in name for name in learnt) and all(one.any() for one in learnt.values())
