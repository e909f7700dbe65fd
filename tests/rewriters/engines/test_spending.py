from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from grapebench.rewriters.engines.spending import Purse, most_tokens

ROOT = Path(__file__).resolve().parents[3]


@given(st.floats(0.1, 10), st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), max_size=40), st.integers(1, 5))
def test_a_limit_is_never_passed(limit: float, requests: list[tuple[float, float]], at_once: int) -> None:
    """While nothing costs more than its worst case, whatever is under way at once."""
    purse, running = Purse(limit), list[tuple[float, float]]()
    for worst, share in requests:
        if (held := purse.hold(worst)) is not None:
            running.append((held, worst * share))
            assert purse.spent + sum(each for each, _ in running) <= limit + 1e-9
        if len(running) == at_once or held is None:
            for pair in running:
                purse.settle(*pair)
            running.clear()
        assert purse.spent <= limit + 1e-9


def test_what_is_not_spent_comes_back() -> None:
    purse = Purse(1.0)
    held = purse.hold(0.9)
    assert held == 0.9 and purse.hold(0.2) is None
    purse.settle(held, 0.1)
    assert purse.hold(0.8) == 0.8


def test_an_estimate_that_was_too_low_raises_the_next() -> None:
    purse = Purse(10.0)
    purse.settle(purse.hold(1.0) or 0, 3.0)
    assert purse.hold(1.0) == 3.0


def test_without_a_limit_only_the_sum_is_kept() -> None:
    purse = Purse(None)
    purse.settle(purse.hold(5.0) or 0, 7.0)
    assert purse.spent == 7.0 and purse.hold(1e9) is not None


@pytest.mark.parametrize("text", ["a dog", "ein Hündchen 小狗 🐶", "zxqj" * 50])
def test_the_estimate_is_an_upper_bound(text: str) -> None:
    tokenizer = Tokenizer.from_file(str(ROOT / "baselines" / "models" / "mini-lm" / "tokenizer.json"))
    rendered = f"<|im_start|>system\n{text}<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    tokens = len(tokenizer.encode(rendered).ids)
    assert tokens <= most_tokens([{"role": "system", "content": text}, {"role": "user", "content": text}]) < 40 * tokens
