"""Who tells of a task: a message goes to one stream only (basic/transports, "Multiple Connections").

Several streams may follow one task, on several replicas: a client's second `tasks/result`, one that came back while
its old connection hangs. The newest that answers a request speaks, the others are silent, and the GET stream speaks
when none of them does. Whoever speaks says so now and then; who has not been heard for a while speaks no more.
"""

from __future__ import annotations

import asyncio
import time

from tasks_server.bus import Bus, VoiceTaken

RENEW_SECONDS = 10.0
FREE_AFTER_SECONDS = 25.0

NOBODY = ""


class Voice:
    """One stream's part in it.

    claims: whether it speaks because it says so; one that does not yields to all. under: without which it is silent.
    """

    def __init__(
        self, bus: Bus, subject: str, stream: str, *, claims: bool, under: Voice | None = None
    ) -> None:
        self._bus = bus
        self._subject = subject
        self._stream = stream
        self.claims = claims
        self._under = under
        self._speaker = NOBODY
        self._heard_at = 0.0

    @property
    def may_speak(self) -> bool:
        if self._under is not None and not self._under.may_speak:
            return False
        if self._speaker in (NOBODY, self._stream):
            return True
        return time.monotonic() - self._heard_at > FREE_AFTER_SECONDS

    async def claim(self) -> None:
        if self.claims:
            self._speaker = self._stream
            await self._bus.publish(VoiceTaken(self._subject, self._stream))

    async def hear(self, signal: VoiceTaken) -> bool:
        """Take notice of who speaks. True if that is this stream now, and was not before."""
        was_silent = not self.may_speak
        self._speaker = signal.stream
        self._heard_at = time.monotonic()
        if signal.stream == NOBODY:
            await self.claim()
        return was_silent and self.may_speak

    async def keep(self) -> None:
        """Say now and then that this stream speaks, until cancelled."""
        while self.claims:
            await asyncio.sleep(RENEW_SECONDS)
            if self.may_speak:
                await self.claim()

    async def release(self) -> None:
        if self.claims and self._speaker == self._stream:
            await self._bus.publish(VoiceTaken(self._subject, NOBODY))
