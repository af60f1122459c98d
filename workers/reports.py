"""What a run says about itself, on its way into the record: progress, a status message, log lines.

A tool may report as often as it likes; the record gets a few writes per second, each with the newest state.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anyio

from tasks_server.encoding import encode_json
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.fence import Held
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.task import Progress

log = logging.getLogger(__name__)

WRITE_PAUSE_SECONDS = 0.25
MESSAGE_LENGTH = 2_000


class Reports:
    """The reports of one run. progress and message are the newest, written or not.

    announces_lines: log lines are told from the record, so somebody waits until they are in there.
    """

    def __init__(self, claims: Claims, held: Held, *, announces_lines: bool = False) -> None:
        self.progress: Progress | None = None
        self.message: str | None = None
        self._claims = claims
        self._held = held
        self._announces_lines = announces_lines
        self._unwritten_progress: Progress | None = None
        self._unwritten_message: str | None = None
        self._unwritten_lines: list[dict[str, Any]] = []
        self._something_unwritten = asyncio.Event()
        self._ended = asyncio.Event()

    def reach(self, progress: float, total: float | None, message: str | None) -> Progress:
        """As it is recorded, by `write_progress_soon`: progress never goes back within a run."""
        reached = float(progress) if self.progress is None else max(float(progress), self.progress.progress)
        message = None if message is None else recordable(message)
        self.progress = Progress(reached, None if total is None else float(total), message)
        if message is not None:
            self.message = self._unwritten_message = message
        return self.progress

    def write_progress_soon(self) -> None:
        self._unwritten_progress = self.progress
        self._something_unwritten.set()

    def add_message(self, message: str) -> None:
        self.message = self._unwritten_message = recordable(message)
        self._something_unwritten.set()

    def add_line(self, level: str, data: Any, logger: str | None) -> dict[str, Any]:
        """As it is recorded: `level`, `data`, `logger`."""
        line = {
            "level": level,
            "data": _recordable_data(data),
            "logger": None if logger is None else recordable(logger),
        }
        self._unwritten_lines.append(line)
        self._something_unwritten.set()
        return line

    async def write_until_ended(self) -> None:
        """Bring everything into the record, now and then. Raises StaleTransition when the task has been lost."""
        while not self._ended.is_set():
            await self._something_unwritten.wait()
            self._something_unwritten.clear()
            try:
                await self._write()
            except DATABASE_UNAVAILABLE as error:
                log.warning("task %s: its reports cannot be written yet: %s", self._held.task_id, error)
                self._something_unwritten.set()
            with anyio.move_on_after(WRITE_PAUSE_SECONDS):
                await self._ended.wait()

    def end(self) -> None:
        """Let `write_until_ended` return once the write that is under way is done.

        Cut off instead, it could leave lines behind that are neither written nor kept.
        """
        self._ended.set()
        self._something_unwritten.set()

    async def write_lines(self) -> None:
        """The log lines that have not been written yet."""
        lines, self._unwritten_lines = self._unwritten_lines, []
        if lines:
            try:
                await self._claims.note(self._held, lines, announce=self._announces_lines)
            except DATABASE_UNAVAILABLE:
                self._unwritten_lines[:0] = lines
                raise

    async def _write(self) -> None:
        progress, self._unwritten_progress = self._unwritten_progress, None
        message, self._unwritten_message = self._unwritten_message, None
        if progress is not None or message is not None:
            try:
                await self._claims.report(self._held, progress, message)
            except DATABASE_UNAVAILABLE:
                self._unwritten_progress = self._unwritten_progress or progress
                self._unwritten_message = self._unwritten_message or message
                raise
        await self.write_lines()


def recordable(message: str) -> str:
    """A message as every database and every client can take it: valid Unicode, no NUL, of sensible length."""
    clean = message.replace("\0", "").encode(errors="replace").decode()
    return clean if len(clean) <= MESSAGE_LENGTH else clean[: MESSAGE_LENGTH - 1] + "…"


def _recordable_data(data: Any) -> Any:
    try:
        encode_json(data)
    except (TypeError, ValueError):  # a lone surrogate, an integer of more than 64 bits
        return recordable(str(data))
    return data
