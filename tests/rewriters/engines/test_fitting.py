from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.rewriters.engines import Message, Request
from grapebench.rewriters.engines.fitting import fit


def tokenise(messages: tuple[Message, ...]) -> list[int]:
    """A token for each pair of characters."""
    return [0] * -(-sum(len(message["content"]) for message in messages) // 2)


@given(st.text(alphabet="ab ", min_size=1, max_size=60).map(str.strip).filter(bool), st.integers(0, 30))
def test_the_most_that_fits(text: str, limit: int) -> None:
    def shorter(length: int) -> tuple[Message, ...] | None:
        kept = text[:length].rstrip()
        return ({"role": "user", "content": f"Say: {kept}"},) if kept else None

    request = Request("q", ({"role": "user", "content": f"Say: {text}"},), shorter, len(text))
    fitting = [length for length in range(1, len(text)) if (made := shorter(length)) and len(tokenise(made)) <= limit]
    if len(tokenise(request.messages)) <= limit:
        return
    if not fitting:
        with pytest.raises(UserError, match="query 'q' takes 3 tokens with one character"):
            fit(request, tokenise, limit)
        return
    messages, tokens, trace = fit(request, tokenise, limit)
    assert messages == shorter(max(fitting)) and tokens == tokenise(messages)
    assert trace == {"cut prompt": f"the first {max(fitting)} of {len(text)} characters of the query fit the model"}
