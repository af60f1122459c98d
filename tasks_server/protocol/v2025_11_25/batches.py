"""Several messages in one: 2025-03-26 demands that servers take them (basic/index, "Batching"); later ones do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from tasks_server.errors import INVALID_REQUEST
from tasks_server.protocol.answers import Accepted, Final, Streamed
from tasks_server.protocol.dialect import Outlet
from tasks_server.protocol.jsonrpc import MalformedMessage
from tasks_server.protocol.v2025_11_25.revisions import Revision

MOST_IN_BATCH = 100


def check_batch(batch: Sequence[Any], revision: Revision) -> None:
    """Raise MalformedMessage for a batch that need not be looked into."""
    if not revision.batches:
        reason = f"MCP {revision.version} has no batches; send every message by itself."
        raise MalformedMessage(INVALID_REQUEST, reason)
    if not 0 < len(batch) <= MOST_IN_BATCH:
        raise MalformedMessage(INVALID_REQUEST, f"A batch has 1 to {MOST_IN_BATCH} messages.")


def answered_together(answers: Sequence[Accepted | Final | Streamed]) -> Accepted | Streamed:
    """The answer to a batch, from the answers to its messages."""
    awaited = [answer for answer in answers if not isinstance(answer, Accepted)]
    return Streamed(lambda outlet: _finish_all(awaited, outlet)) if awaited else Accepted()


async def _finish_all(answers: Sequence[Final | Streamed], outlet: Outlet) -> Final:
    """All responses of a batch in one; what is said before them is said as it comes."""
    closing = asyncio.ensure_future(outlet.closing())
    unmarked = _Unmarked(outlet, closing)
    try:
        finals = await asyncio.gather(
            *(answer.run(unmarked) for answer in answers if isinstance(answer, Streamed))
        )
    finally:
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
    at_once = [answer for answer in answers if isinstance(answer, Final)]
    return Final(b"[" + b",".join(each.payload for each in (*at_once, *finals) if each is not None) + b"]")


class _Unmarked:
    """The outlet of a batch: several streams share the connection, so a client could come back to one of them only.

    closing: ends when the outlet closes. An outlet has one who waits for that, a batch has many.
    """

    def __init__(self, outlet: Outlet, closing: asyncio.Future[None]) -> None:
        self._outlet = outlet
        self._closing = closing

    async def notify(self, method: str, params: dict[str, Any], mark: str | None = None) -> None:
        await self._outlet.notify(method, params)

    async def ask(
        self, request_id: str, method: str, params: dict[str, Any], mark: str | None = None
    ) -> None:
        await self._outlet.ask(request_id, method, params)

    async def prime(self, mark: str) -> None:
        pass

    async def closing(self) -> None:
        await asyncio.wait([self._closing])

    def stopping(self, stop: Callable[[], object]) -> AbstractContextManager[None]:
        return self._outlet.stopping(stop)
