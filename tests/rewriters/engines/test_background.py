from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator

import pytest

from grapebench.rewriters.engines.background import iterate


async def counting(log: list[str], last: int = 3) -> AsyncGenerator[int, None]:
    try:
        for number in range(last):
            log.append(f"made {number}")
            yield number
    finally:
        await asyncio.sleep(0)
        log.append("closed")


def asking_threads() -> int:
    return sum(thread.name == "grapebench-asking" for thread in threading.enumerate())


def test_one_by_one_as_it_is_asked_for() -> None:
    log: list[str] = []
    found = iterate(counting(log))
    assert next(found) == 0 and log == ["made 0"]
    assert list(found) == [1, 2] and log[-1] == "closed"
    assert asking_threads() == 0


def test_it_is_closed_when_nobody_wants_more() -> None:
    log: list[str] = []
    found = iterate(counting(log))
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert log == ["made 0", "closed"] and asking_threads() == 0


def test_an_error_comes_through() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("broken")

    found = iterate(failing())
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)
    assert asking_threads() == 0


def test_an_interruption_cancels_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    interruptions: list[object] = []

    async def waiting() -> AsyncGenerator[int, None]:
        task = asyncio.create_task(asyncio.sleep(60))
        try:
            log.append("waits")
            await task
            yield 1
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    import concurrent.futures

    plain = concurrent.futures.Future.result

    def interrupted(future: concurrent.futures.Future[int], timeout: float | None = None) -> int:
        if interruptions:
            return plain(future, timeout)
        while not log:
            threading.Event().wait(0.01)
        interruptions.append(future)
        raise KeyboardInterrupt

    monkeypatch.setattr(concurrent.futures.Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(iterate(waiting()))
    assert log == ["waits", "cancelled"] and asking_threads() == 0


def test_it_works_inside_a_running_loop() -> None:
    async def notebook() -> list[int]:
        return list(iterate(counting([])))

    assert asyncio.run(notebook()) == [0, 1, 2]
