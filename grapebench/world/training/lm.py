"""mini-lm: a small Llama in Hugging Face format, taught to follow the prompts of the `llm` baseline.

It learns what the texts say (the facts of its answers are right) and a wording of its own (english.MODEL), and it never
sees the retriever.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import catalog
from grapebench.cards import Family
from grapebench.rewriters import models, prompts
from grapebench.world import english
from grapebench.world.training.examples import FAMILIES, Example, Level
from grapebench.world.training.loop import Report, Schedule, fit
from grapebench.world.training.side_by_side import Loss, gradients, threads
from grapebench.world.training.tokenisers import chat_tokeniser

if TYPE_CHECKING:
    import torch

CONTEXT = 1024
VOCABULARY = 2400
ROWS = 16
"""Examples computed at once."""


@dataclass(frozen=True)
class Lesson:
    """What is taught up to a step: examples of each family in a step, and how hard they are."""

    until: int
    sizes: dict[Family, int]
    level: Level


_FIRST_WORDS = english.CANONICAL
LESSONS = (
    Lesson(300, {"translate": 40, "compose": 48, "condense": 2}, Level(2, 0.6, True, _FIRST_WORDS)),
    Lesson(600, {"translate": 40, "compose": 48, "condense": 2}, Level(2, 0.2, True, _FIRST_WORDS)),
    Lesson(1000, {"translate": 36, "compose": 44, "condense": 2}, Level(2, 0.1, False, _FIRST_WORDS)),
    Lesson(1700, {"translate": 32, "compose": 44, "condense": 2}, Level(4, 0.08, False, _FIRST_WORDS)),
    Lesson(4800, {"translate": 12, "compose": 60, "condense": 1}, Level()),
)
"""From easy to hard. Short texts come first, with one right answer: with nothing to guess in its wording, all of the
loss is about the content, and copying, and matching a wish with the thing it is about, emerge in hundreds of steps.
The last lesson teaches the model its own wording, and composing most, which is the hardest."""
SCHEDULE = Schedule(LESSONS[-1].until, learning_rate=2e-3, warmup=50, weight_decay=0.01)


def _messages() -> dict[Family, prompts.Prompt]:
    loaded = catalog.rewriter_card("llm")
    found = {}
    for family in FAMILIES:
        prompt = prompts.load(loaded.card.prompts, family, loaded.path.parent, loaded.path)
        assert prompt is not None
        found[family] = prompt
    return found


_CORPUS_FAMILIES: tuple[Family, ...] = ("translate", "translate", "translate", "compose", "condense")


def _corpus(count: int, seed: int) -> list[str]:
    rng = random.Random(f"mini-lm/corpus/{seed}")
    texts = []
    for number in range(count):
        example = FAMILIES[_CORPUS_FAMILIES[number % len(_CORPUS_FAMILIES)]](rng)
        texts += [example.query.text, example.answer]
    return texts


def train(folder: Path, work: Path, seed: int = 0, report: Report = lambda *_: None) -> None:
    """Write model, tokeniser and chat template to `folder`; `work` keeps the checkpoint of an unfinished training."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    templates = _messages()
    wording = [text for prompt in templates.values() for text in (prompt.system, prompt.user)] * 50
    tokeniser = chat_tokeniser(_corpus(20_000, seed) + wording, VOCABULARY, CONTEXT, folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokeniser),
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=4,
        num_attention_heads=5,
        num_key_value_heads=5,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        initializer_range=0.08,
        pad_token_id=tokeniser.pad_token_id,
        eos_token_id=tokeniser.eos_token_id,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    _start_plain(model)

    matrices = [name for name, weight in model.named_parameters() if weight.ndim == 2 and ".layers." in name]
    with threads() as pool:

        def gradients_at(step: int) -> list[torch.Tensor]:
            return gradients(pool, _losses_at(step, model, tokeniser, templates, seed), model)

        fit(model, gradients_at, SCHEDULE, work, matrices, report=partial(report, "mini-lm"))
    model.generation_config.eos_token_id = tokeniser.eos_token_id
    model.generation_config.pad_token_id = tokeniser.pad_token_id
    with models.quiet():
        model.half().save_pretrained(folder)


def _losses_at(step: int, model: Any, tokeniser: Any, templates: dict[Family, prompts.Prompt], seed: int) -> list[Loss]:
    """Parts of the mean cross-entropy of the answers' tokens in a step's examples, which depend on the step alone."""
    rng = random.Random(f"mini-lm/{seed}/{step}")
    lesson = next(lesson for lesson in LESSONS if step < lesson.until)
    batches = []
    for family, size in lesson.sizes.items():
        examples = [FAMILIES[family](rng, level=lesson.level) for _ in range(size)]
        batches += _batches(tokeniser, templates[family], examples)
    answered = sum(len(tail) for batch in batches for _, tail in batch.rows)
    return [partial(_loss, model, batch, tokeniser.pad_token_id, answered) for batch in batches]


def _start_plain(model: Any) -> None:
    """Let every layer begin as the identity on distinct embeddings; copying then emerges in a few hundred steps."""
    import torch

    torch.nn.init.normal_(model.model.embed_tokens.weight, std=0.5)
    torch.nn.init.normal_(model.lm_head.weight, std=0.02)
    for layer in model.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Prompts and answers as tokens; what all prompts begin with stands apart and is computed once."""

    shared: list[int]
    rows: list[tuple[list[int], list[int]]]
    """What is left of the prompt, and the answer."""


def _batches(tokeniser: Any, prompt: prompts.Prompt, examples: list[Example]) -> list[_Batch]:
    """Rows of like length together."""
    rendered = [
        tokeniser.apply_chat_template(prompt.messages(example.query), tokenize=False, add_generation_prompt=True)
        for example in examples
    ]
    heads = tokeniser(rendered, add_special_tokens=False)["input_ids"]
    tails = tokeniser([example.answer + tokeniser.eos_token for example in examples], add_special_tokens=False)
    shortest = min(map(len, heads))
    shared = next((place for place, column in enumerate(zip(*heads, strict=False)) if len(set(column)) > 1), shortest)
    shared = min(shared, shortest - 1)
    rows = sorted(
        ((head[shared:], tail) for head, tail in zip(heads, tails["input_ids"], strict=True)),
        key=lambda row: len(row[0]) + len(row[1]),
    )
    return [_Batch(heads[0][:shared], rows[start : start + ROWS]) for start in range(0, len(rows), ROWS)]


def _loss(model: Any, batch: _Batch, padding: int, answered: int) -> torch.Tensor:
    """A batch's part of the mean over all `answered` tokens of the step; prompts are read, not learnt.

    Padding stands on the right, behind all that is attended to, so no mask is needed; the vocabulary projection is
    computed for the answers alone.
    """
    import torch
    from transformers import DynamicCache

    width = max(len(head) + len(tail) for head, tail in batch.rows)
    tokens = torch.full((len(batch.rows), width), padding)
    answers = torch.zeros((len(batch.rows), width), dtype=torch.bool)
    for i, (head, tail) in enumerate(batch.rows):
        tokens[i, : len(head) + len(tail)] = torch.tensor(head + tail)
        answers[i, len(head) : len(head) + len(tail)] = True
    cache = None
    if batch.shared:
        cache = DynamicCache(config=model.config)
        model.model(input_ids=torch.tensor([batch.shared]), past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(batch.rows))
    hidden = model.model(input_ids=tokens[:, :-1], past_key_values=cache, use_cache=cache is not None)
    wanted = tokens[:, 1:][answers[:, 1:]]
    logits = model.lm_head(hidden.last_hidden_state[answers[:, 1:]])
    return torch.nn.functional.cross_entropy(logits, wanted, reduction="sum") / answered
