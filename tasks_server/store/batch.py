"""Doing together what arrives together: one round trip or commit for all callers that wait at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tasks_server.store.outage import is_outage

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batch(Generic[Item, Result]):
    """Collects items while an earlier batch is under way, and hands the next batch over as soon as that ends.

    An idle batch adds no delay: the first item starts at once, alone. `perform` gets the items in order of
    arrival and returns one result each. If it fails for several items, each is tried alone, so that a bad item
    fails only its own caller; but an outage of the database is everybody's.
    """

    def __init__(
        self, perform: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], *, limit: int = 500
    ) -> None:
        self._perform = perform
        self._limit = limit
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """The result for this item. Raises what `perform` raised for it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._settle([entry for entry in batch if not entry[1].cancelled()])
        finally:
            self._running = None

    async def _settle(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not batch:
            return
        try:
            results = await self._perform([item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not is_outage(error):
                for entry in batch:
                    await self._settle([entry])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
