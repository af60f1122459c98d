"""What rings for a stream that is open: the server stops, or its client has hung up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Bell(asyncio.Event):
    """An event that also calls back: waiting for it would take a task for every stream."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[Callable[[], object]] = []

    def set(self) -> None:
        super().set()
        for call in list(self._calls):
            call()

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
