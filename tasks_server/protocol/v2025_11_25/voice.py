"""Who tells of a task: a message goes to one stream only (basic/transports, "Multiple Connections").

Several streams may follow one task, on several replicas: a client's second `tasks/result`, one that came back while
its old connection hangs. The newest that answers a request speaks, the others are silent, and the GET stream speaks
when none of them does. All of them hear who has begun to speak at the same place between the other signals of the
bus, so each signal is told by one of them. Whoever speaks says so now and then; who has not been heard for a while
speaks no more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from tasks_server.bus import Bus
from tasks_server.signals import VoiceTaken

RENEW_SECONDS = 10.0
FREE_AFTER_SECONDS = 25.0
HEARD_WITHIN_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 1.5

NOBODY = ""
UNDECIDED = "?"


class Voice:
    """One stream's part in it.

    claims: whether it speaks because it says so; one that does not yields to all. at_once: it does not wait until it
    hears of itself, because nobody else's words matter to its client. under: without which it is silent.
    """

    def __init__(
        self,
        bus: Bus,
        subject: str,
        stream: str,
        *,
        claims: bool,
        at_once: bool = True,
        under: Voice | None = None,
    ) -> None:
        self._bus = bus
        self.stream = stream
        self._taken = VoiceTaken(subject, stream)
        self._freed = VoiceTaken(subject, NOBODY)
        self._asked = VoiceTaken(subject, UNDECIDED)
        self.claims = claims
        self.at_once = at_once
        self._under = under
        self._speaker = NOBODY if at_once else UNDECIDED
        self._heard_at = time.monotonic()
        self._is_waiting = asyncio.Event()

    @property
    def may_speak(self) -> bool:
        if self._under is not None and not self._under.may_speak:
            return False
        if self._speaker in (NOBODY, self.stream):
            return True
        return time.monotonic() - self._heard_at > FREE_AFTER_SECONDS

    async def claim(self) -> None:
        if self.claims:
            self._speaker = self.stream if self.at_once else self._speaker
            await self._bus.publish(self._taken)

    async def ask_who_speaks(self) -> None:
        """Let whoever speaks already say so again."""
        await self._bus.publish(self._asked)

    async def hear(self, signal: VoiceTaken) -> bool:
        """Take notice of who speaks. True if that is this stream now, and was not before."""
        if signal.stream == UNDECIDED:
            if self._speaker == self.stream:
                await self._bus.publish(self._taken)
            return False
        was_silent = not self.may_speak
        self._speaker = signal.stream
        self._heard_at = time.monotonic()
        if signal.stream == NOBODY and self.claims:
            self._speaker = UNDECIDED
            await self.claim()
        return was_silent and self.may_speak

    async def keep(self, hear_here: Callable[[VoiceTaken], None] | None = None) -> None:
        """Say now and then that this stream speaks, until cancelled.

        hear_here: lets this stream hear of itself as from the bus. Without Redis nobody else would tell it.
        """
        if hear_here is not None and self.claims and not self.at_once:
            if self._bus.connected.is_set():
                await asyncio.sleep(HEARD_WITHIN_SECONDS)
            if self._speaker == UNDECIDED:
                hear_here(self._taken)
        while self.claims:
            await self._pause()
            if self.may_speak:
                await self.claim()

    def hear_again_soon(self) -> None:
        """Something has been left to another stream; this one says again that it speaks, and so looks again."""
        self._is_waiting.set()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RENEW_SECONDS):
                await self._is_waiting.wait()
                self._is_waiting.clear()
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def release(self) -> None:
        """The stream has closed; others may have been waiting for that."""
        if self.claims:
            await self._bus.publish(self._freed if self._speaker == self.stream else self._asked)
