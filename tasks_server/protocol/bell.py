"""What rings for a stream that is open: the server stops, or its client has hung up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Bell:
    """An event that calls back: waiting for it would take a task for every stream, and an event's queue of those who
    wait 700 bytes."""

    def __init__(self) -> None:
        self._has_rung = False
        self._calls: list[Callable[[], object]] = []

    def is_set(self) -> bool:
        return self._has_rung

    def set(self) -> None:
        self._has_rung = True
        for call in list(self._calls):
            call()

    async def wait(self) -> None:
        rung = asyncio.Event()
        with self.calling(rung.set):
            await rung.wait()

    @contextmanager
    def calling(self, call: Callable[[], object]) -> Generator[None]:
        """Call this when it rings, while the block lasts; at once if it has rung."""
        self._calls.append(call)
        try:
            if self.is_set():
                call()
            yield
        finally:
            self._calls.remove(call)
