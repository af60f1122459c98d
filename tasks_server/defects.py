"""What goes wrong in the background although it never should: said loudly, shown, and not the end of the process."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import cast

import anyio

log = logging.getLogger(__name__)

REPEAT_SECONDS = 30.0
SHOWN_SECONDS = 120.0
RESTART_SECONDS = 1.0


class Defects:
    """The defects of one process. One that repeats is logged every half minute, with how often it was met."""

    def __init__(self) -> None:
        self._met: dict[str, tuple[float, str]] = {}
        self._logged: dict[tuple[str, str], float] = {}
        self._unlogged: dict[tuple[str, str], int] = {}

    def met(self, where: str, error: BaseException) -> None:
        """Something that no outage explains, and that trying again is unlikely to mend."""
        now = time.monotonic()
        self._met[where] = (now, f"{where}: {type(error).__name__}: {_first_line(error)}")
        kind = (where, type(error).__name__)
        if now - self._logged.get(kind, -REPEAT_SECONDS) < REPEAT_SECONDS:
            self._unlogged[kind] = self._unlogged.get(kind, 0) + 1
            return
        self._logged[kind] = now
        before = self._unlogged.pop(kind, 0)
        again = f" (and {before} times since this was last said)" if before else ""
        log.error("%s has failed and is tried again; this is a defect%s", where, again, exc_info=error)

    def current(self) -> tuple[str, ...]:
        """Those of the last two minutes, a line each."""
        oldest = time.monotonic() - SHOWN_SECONDS
        return tuple(text for met_at, text in self._met.values() if met_at > oldest)


async def keep_running(part: Callable[[], Awaitable[None]], where: str, defects: Defects) -> None:
    """Run what runs until it is cancelled. Should it fail, it is started again: it must not take all else along."""
    while True:
        try:
            await part()
        except Exception as error:
            defects.met(where, error)
        else:
            return
        await anyio.sleep(RESTART_SECONDS)


def _first_line(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return str(error).partition("\n")[0]
