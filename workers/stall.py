"""Noticing, from a thread beside it, that the event loop does not turn: then no lease is renewed and nothing else runs.

An asynchronous tool that computes for long, or calls something that blocks, stops its whole worker. While it does
so the log says which code it is; a worker that stays blocked ends itself, for its supervisor to start another.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

log = logging.getLogger(__name__)

# The exit code of a worker that has ended itself because its event loop was blocked for too long.
STALLED = 75
LOOKS_PER_THRESHOLD = 4
SHORTEST_LOOK_SECONDS = 0.05
FRAMES_SHOWN = 8
# Native code that never lets go of the interpreter stops our thread too: then faulthandler's own ends the process.
LAST_RESORT_SECONDS = 30.0
TASK_PREFIX = "task "

_HERE = Path(__file__).parent
_MACHINERY = (str(_HERE / "execution"), str(_HERE / "runner.py"), str(Path(asyncio.__file__).parent))

Evidence = Callable[[str, str], object]


class StallWatch:
    """Watches the loop that `run` runs on.

    warn_seconds: how long a blocked loop goes unmentioned. end_seconds: how long it may be blocked before `end` is
    called from the watching thread, which must not return; None lets it be. running: the ids of the tasks that run
    here. keep_evidence is called in the watching thread with the id of a task that blocks, and what it does.
    """

    def __init__(
        self,
        running: Callable[[], Sequence[str]],
        keep_evidence: Evidence,
        *,
        warn_seconds: float,
        end_seconds: float | None,
        end: Callable[[], object] | None = None,
    ) -> None:
        self._running = running
        self._keep_evidence = keep_evidence
        self._warn_seconds = warn_seconds
        self._end_seconds = end_seconds
        self._end = end or end_process
        self._look_seconds = max(warn_seconds / LOOKS_PER_THRESHOLD, SHORTEST_LOOK_SECONDS)
        self._ended = threading.Event()
        self._ticks = 0
        self._was_reported = False

    async def run(self) -> None:
        """Until cancelled."""
        loop, thread_id = asyncio.get_running_loop(), threading.get_ident()
        watching = threading.Thread(target=self._watch, args=(loop, thread_id), name="stalls", daemon=True)
        watching.start()
        ticked_at = time.monotonic()
        try:
            while True:
                await asyncio.sleep(self._look_seconds)
                stood_still = time.monotonic() - ticked_at - self._look_seconds
                ticked_at = time.monotonic()
                self._ticks += 1
                if self._was_reported or stood_still > self._warn_seconds:
                    self._say_over(stood_still)
        finally:
            self._ended.set()
            if self._end_seconds is not None:
                faulthandler.cancel_dump_traceback_later()

    def _say_over(self, seconds: float) -> None:
        if self._was_reported:
            log.warning("The event loop was blocked for %.1f s and turns again", seconds)
        else:
            log.warning(
                "This whole process stood still for %.1f s: it was paused, or native code kept the interpreter",
                seconds,
            )
        self._was_reported = False

    def _watch(self, loop: asyncio.AbstractEventLoop, thread_id: int) -> None:
        seen, blocked, looked_at = self._ticks, 0.0, time.monotonic()
        while not self._ended.wait(self._look_seconds):
            self._arm_last_resort()
            now = time.monotonic()
            # A pause of the whole process is not the loop's fault: it does not count for more than a look.
            blocked += min(now - looked_at, 2 * self._look_seconds)
            looked_at = now
            if self._ticks != seen:
                seen, blocked = self._ticks, 0.0
                continue
            if blocked >= self._warn_seconds and not self._was_reported:
                self._was_reported = True
                self._report(loop, thread_id, blocked)
            if self._end_seconds is not None and blocked >= self._end_seconds:
                self._report(loop, thread_id, blocked, is_final=True)
                self._end()

    def _report(
        self, loop: asyncio.AbstractEventLoop, thread_id: int, seconds: float, *, is_final: bool = False
    ) -> None:
        running = tuple(self._running())
        current = asyncio.current_task(loop)
        name = "" if current is None else current.get_name()
        blamed = name.removeprefix(TASK_PREFIX) if name.startswith(TASK_PREFIX) else None
        code = _code_of(thread_id)
        who = f"task {blamed}" if blamed else "it is not known which task"
        fate = (
            "; this worker gives up and ends"
            if is_final
            else "; no lease of this worker is renewed meanwhile"
        )
        log.log(
            logging.CRITICAL if is_final else logging.ERROR,
            "The event loop has been blocked for %.1f s by %s%s. Running here: %s. It is at:\n%s",
            seconds,
            who,
            fate,
            ", ".join(running) or "nothing",
            code,
        )
        if not is_final:
            for task_id in [blamed] if blamed else running:
                self._keep_evidence(
                    task_id, f"The tool blocks the event loop of its worker. It is at:\n{code}"
                )

    def _arm_last_resort(self) -> None:
        if self._end_seconds is not None and self._end is end_process:
            faulthandler.dump_traceback_later(self._end_seconds + LAST_RESORT_SECONDS, exit=True)


def end_process() -> NoReturn:
    """Leave every thread's stack on stderr, and end without asking the event loop."""
    faulthandler.dump_traceback(all_threads=True)
    os._exit(STALLED)


def _code_of(thread_id: int) -> str:
    """Where a thread is, in the author's code: without the machinery that has called it."""
    frames = sys._current_frames()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - its documented use
    frame = frames.get(thread_id)
    stack = traceback.extract_stack(frame) if frame is not None else traceback.StackSummary()
    own = [number for number, entry in enumerate(stack) if entry.filename.startswith(_MACHINERY)]
    theirs = stack[own[-1] + 1 :] if own else stack
    return "".join(traceback.format_list((theirs or stack)[-FRAMES_SHOWN:])).rstrip()
