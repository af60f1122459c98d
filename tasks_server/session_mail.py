"""Bringing a client's message to the process that holds its stream, for transports whose answers all go there.

The message waits in Redis, and only its id travels over the bus, which keeps what it has carried. Who takes it leaves
the empty key behind. A sender that hears nothing takes the message back, and sees what has become of it: it is
delivered, refused because nobody has taken it, or lost with Redis's memory, which its client is told as well.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

import anyio
from arq.connections import ArqRedis

from tasks_server.bus import Bus
from tasks_server.errors import MessageUndelivered
from tasks_server.redis_client import HINT_SECONDS, UNAVAILABLE
from tasks_server.signals import SessionMessage, SessionMessageTaken

TAKEN_WITHIN_SECONDS = 4.0
"""How long a process that is alive may need. Clients wait for about five seconds until a message of theirs is taken."""

ANNOUNCED_EVERY_SECONDS = 1.0
"""Signals may be lost; the message is not, and only one can take it."""

KEPT_SECONDS = 30
_PREFIX = "tasks:message:"
_TAKEN = b""

log = logging.getLogger(__name__)


class SessionMail:
    """One per process."""

    def __init__(self, redis: ArqRedis, bus: Bus) -> None:
        self._redis = redis
        self._bus = bus

    async def deliver(self, session_id: str, message: bytes) -> None:
        """Return when the process that holds the session's stream has the message. Raises MessageUndelivered."""
        if not self._bus.connected.is_set():
            raise MessageUndelivered("Redis cannot be reached")
        message_id = secrets.token_hex(16)
        try:
            async with asyncio.timeout(TAKEN_WITHIN_SECONDS):
                await self._redis.set(_PREFIX + message_id, message, ex=KEPT_SECONDS)
            if await self._announced_and_taken(session_id, message_id):
                return
            async with asyncio.timeout(HINT_SECONDS):
                left = await self._redis.getdel(_PREFIX + message_id)
        except UNAVAILABLE as error:
            log.warning("A message could not be passed on, Redis is away: %s", str(error) or "it hangs")
            raise MessageUndelivered("Redis cannot be reached") from None
        if left != _TAKEN:
            reason = "Redis has lost it" if left is None else "the process that holds it does not answer"
            raise MessageUndelivered(reason)

    async def take(self, message: SessionMessage) -> bytes | None:
        """A message that has come; None if somebody else has it, or its sender has given up."""
        try:
            content: bytes | None = await self._redis.set(
                _PREFIX + message.message_id, _TAKEN, xx=True, keepttl=True, get=True
            )
        except UNAVAILABLE as error:
            log.warning("A message could not be fetched, Redis is away: %s", str(error) or "it hangs")
            return None
        if not content:
            return None
        await self._bus.publish(SessionMessageTaken(message.message_id))
        return content

    async def _announced_and_taken(self, session_id: str, message_id: str) -> bool:
        """Whether somebody has said in time that he has it."""
        with anyio.move_on_after(TAKEN_WITHIN_SECONDS):
            async with self._bus.subscribe(SessionMessageTaken) as signals:
                while True:
                    await self._bus.publish(SessionMessage(session_id, message_id))
                    with anyio.move_on_after(ANNOUNCED_EVERY_SECONDS):
                        async for signal in signals:
                            if signal == SessionMessageTaken(message_id):
                                return True
        return False
