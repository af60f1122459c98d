"""Which questions lie before a client right now, so that none is put on two of its streams at once.

A question that has been put is left to its stream, on whichever replica, until the stream closes, its process dies, or
half a minute has passed: a connection may hang without anybody noticing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence

from arq.connections import ArqRedis

from tasks_server.redis_client import HINT_SECONDS, UNAVAILABLE

HELD_SECONDS = 30
ALIVE_SECONDS = 3
RENEW_SECONDS = 1.0
_QUESTION = "tasks:asked:"
_PROCESS = "tasks:asking:"

log = logging.getLogger(__name__)


class PutQuestions:
    """One per process; `run` says that it lives. Questions go by their request ids. Without Redis all are put."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis
        self._process = secrets.token_hex(8)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(HINT_SECONDS):
                    await self._redis.set(_PROCESS + self._process, "", ex=ALIVE_SECONDS)
            except UNAVAILABLE as error:
                log.debug("Redis is not reachable: %s", error)
            await asyncio.sleep(RENEW_SECONDS)

    async def put(self, question: str, stream: str, *, at_once: bool) -> bool:
        """Take the question for this stream. False if another one has it, unless it is to be put at_once."""
        mine = self._held_by(stream)
        try:
            async with asyncio.timeout(HINT_SECONDS):
                name = _QUESTION + question
                holder: bytes | None = await self._redis.set(
                    name, mine, nx=not at_once, get=True, ex=HELD_SECONDS
                )
                if at_once or holder is None or holder == mine:
                    return True
                process, _, _ = holder.decode().partition(" ")
                if await self._redis.exists(_PROCESS + process):
                    return False
                await self._redis.set(name, mine, ex=HELD_SECONDS)
        except UNAVAILABLE as error:
            log.warning("Redis is not reachable, a question may be put twice: %s", str(error) or "it hangs")
        return True

    async def leave(self, questions: Sequence[str], stream: str) -> None:
        """The stream has closed: another one may put its questions at once."""
        names = [_QUESTION + question for question in questions]
        try:
            async with asyncio.timeout(HINT_SECONDS):
                holders: list[bytes | None] = await self._redis.mget(names) if names else []
                held = zip(names, holders, strict=True)
                mine = [name for name, holder in held if holder == self._held_by(stream)]
                if mine:
                    await self._redis.delete(*mine)
        except UNAVAILABLE as error:
            log.warning("Redis is not reachable, questions are put again late: %s", str(error) or "it hangs")

    def _held_by(self, stream: str) -> bytes:
        return f"{self._process} {stream}".encode()
