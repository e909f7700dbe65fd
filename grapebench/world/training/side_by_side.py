"""The rows of a step in several threads, each of which computes its operations alone.

The products of so small a model are too short to be shared between threads: on two cores it is a quarter faster to give
each thread rows of its own. And what comes out no longer depends on how many cores there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Loss = Callable[[], "torch.Tensor"]


@contextmanager
def threads() -> Iterator[ThreadPoolExecutor]:
    """A thread for each that torch would take; torch itself takes one in each of them."""
    import torch

    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(count) as pool:
            yield pool
    finally:
        torch.set_num_threads(count)


def gradients(pool: ThreadPoolExecutor, losses: Sequence[Loss], model: torch.nn.Module) -> list[torch.Tensor]:
    """Of the sum of the losses, by every parameter of the model; they are added in the losses' order."""
    import torch

    parameters = list(model.parameters())
    found = pool.map(lambda loss: torch.autograd.grad(loss(), parameters), losses)
    total = list(next(found))
    for part in found:
        for one, more in zip(total, part, strict=True):
            one += more
    return total
