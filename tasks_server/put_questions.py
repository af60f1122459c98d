"""Which questions lie before a client right now, so that none is put on two of its streams at once.

A question that has been put is left to its stream for a moment, on whichever replica. After that, or when that stream
has closed, a newer one may put it again: a connection may hang without anybody noticing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from arq.connections import ArqRedis

from tasks_server.redis_client import HINT_SECONDS, UNAVAILABLE

HELD_SECONDS = 9
_PREFIX = "tasks:asked:"

log = logging.getLogger(__name__)


class PutQuestions:
    """One per process. Questions go by their request ids. Without Redis every stream puts its own."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def put(self, question: str, stream: str, *, at_once: bool) -> bool:
        """Take the question for this stream. False if another one has it, unless it is to be put at_once."""
        try:
            async with asyncio.timeout(HINT_SECONDS):
                holder: bytes | None = await self._redis.set(
                    _PREFIX + question, stream, nx=not at_once, get=True, ex=HELD_SECONDS
                )
        except UNAVAILABLE as error:
            log.warning("Redis is not reachable, a question may be put twice: %s", str(error) or "it hangs")
            return True
        return at_once or holder is None or holder.decode() == stream

    async def leave(self, questions: Sequence[str], stream: str) -> None:
        """The stream has closed: another one may put its questions at once."""
        names = [_PREFIX + question for question in questions]
        try:
            async with asyncio.timeout(HINT_SECONDS):
                holders = await self._redis.mget(names) if names else []
                mine = [
                    name for name, holder in zip(names, holders, strict=True) if holder == stream.encode()
                ]
                if mine:
                    await self._redis.delete(*mine)
        except UNAVAILABLE as error:
            log.warning("Redis is not reachable, questions are put again late: %s", str(error) or "it hangs")
