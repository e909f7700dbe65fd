"""An asynchronous generator as a plain one."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, TypeVar

_T = TypeVar("_T")
_END = object()


def iterate(source: AsyncGenerator[_T, None]) -> Iterator[_T]:
    """What `source` yields, one by one, as it is asked for.

    It runs on an event loop of its own in a thread of its own, so that it also works where a loop is running already (a
    notebook). Whatever it left under way is cancelled when the iteration ends, breaks off, or is interrupted.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="grapebench-asking", daemon=True)
    thread.start()

    async def following() -> Any:
        return await anext(source, _END)

    try:
        while (found := _wait(following(), loop)) is not _END:
            yield found
    finally:
        if not sys.is_finalizing():  # then the thread runs no more, and waiting for it would never end
            _wait(_finish(source), loop)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def _wait(work: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> Any:
    return asyncio.run_coroutine_threadsafe(work, loop).result()


async def _finish(source: AsyncGenerator[Any, None]) -> None:
    under_way = asyncio.all_tasks() - {asyncio.current_task()}
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    await source.aclose()
