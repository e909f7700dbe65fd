"""Work done in threads ahead of what needs its results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS = os.cpu_count() or 1


@contextmanager
def ahead(work: Callable[[T], R], items: Iterable[T], *, window: int, workers: int = WORKERS) -> Iterator[Iterator[R]]:
    """`work` of each item, in the order of the items, done by threads while the caller does something else.

    At most `window` results wait or are being made beyond the one that the caller has. What `work` raises is raised
    in its place. Leaving the block, for whatever reason, waits for what is being made and begins nothing more.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")
    try:
        yield _in_order(pool, work, items, window)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], window: int) -> Iterator[R]:
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > window:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch
