"""A batch of no more than there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grapebench.training.raqo.config import Fit
from grapebench.training.raqo.fitting import within


@given(st.integers(1, 40), st.integers(1, 64), st.data())
def test_a_batch_of_no_more_than_there_is(examples: int, batch: int, data: st.DataObject) -> None:
    micro = data.draw(st.sampled_from([None, *(size for size in range(1, batch + 1) if batch % size == 0)]))
    fit = Fit(batch=batch, micro_batch=micro)
    found = within(fit, examples)
    assert found.batch == min(batch, examples)
    if examples >= batch:
        assert found == fit
    elif micro is None:
        assert found.micro_batch is None
    else:
        assert found.micro_batch is not None and 1 <= found.micro_batch <= micro
        assert found.batch % found.micro_batch == 0
