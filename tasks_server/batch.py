"""Doing together what arrives together: one round trip or commit for all callers that wait at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batch(Generic[Item, Result]):
    """Collects items while an earlier batch is under way, and hands the next batch over as soon as that ends.

    An idle batch adds no delay: the first item starts at once, alone. `perform` gets the items in order of
    arrival and returns one result each. If it fails for several items, each is tried alone, so that a bad item
    fails only its own caller; but what `hits_all` (an outage of the database) is everybody's.
    """

    def __init__(
        self,
        perform: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        limit: int = 500,
        hits_all: Callable[[BaseException], bool] = lambda error: False,
    ) -> None:
        self._perform = perform
        self._limit = limit
        self._hits_all = hits_all
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    def begin(self, item: Item) -> asyncio.Future[Result]:
        """The result for this item, or what `perform` raised for it, when it is there."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return future

    async def submit(self, item: Item) -> Result:
        """The result for this item. Raises what `perform` raised for it."""
        return await self.begin(item)

    async def idle(self) -> None:
        """Wait until everything that has been begun is done."""
        while self._running is not None:
            await asyncio.wait([self._running])

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
            if len(batch) > 1 and not self._hits_all(error):
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
