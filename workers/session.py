"""One run of one task on this worker: what its tool asks for, and why it may be stopped.

The session is the worker's end of a tool's context (`TaskPort`). It writes through `Claims`, so every write is
fenced; a fence that no longer holds means that the task was lost, and stops the run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio

from tasks_server.artifacts import ArtifactStore, artifact_uri
from tasks_server.bus import ResourceUpdated, Signal, TaskLogged, TaskProgressed
from tasks_server.elicitation import missing_capability
from tasks_server.errors import RpcError, StaleTransition
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.claims import Asked, Claims, Held, Question
from tasks_server.store.batch import Batch
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.task import Door, Progress, Task
from workers.port import StoredArtifact

log = logging.getLogger(__name__)

MISSING_CLIENT_CAPABILITY = -32021
# The record gets at most this many progress writes per second and task; live signals carry every one.
WRITE_PAUSE_SECONDS = 0.25
MESSAGE_LENGTH = 2_000
SEVERITY = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


Written = TypeVar("Written")


class Stop(StrEnum):
    """Why a run ends before its tool does."""

    CANCELLED = "cancelled"
    PARKED = "parked"
    LOST = "lost"
    TIMED_OUT = "timed out"
    SHUTDOWN = "shutdown"


class Session:
    """Implements `TaskPort` over the record and the bus."""

    def __init__(
        self,
        task: Task,
        claims: Claims,
        announcer: Announcer,
        artifacts: ArtifactStore,
        *,
        park_after_seconds: float,
        publish_catalog: Callable[[], Awaitable[None]],
    ) -> None:
        self.task = task
        self.held = Held(task.id, task.attempt)
        self.progress: Progress | None = None
        self.message: str | None = None
        self.stopped: Stop | None = None
        self._claims = claims
        self._announcer = announcer
        self._artifacts = artifacts
        self._park_after_seconds = park_after_seconds
        self._publish_catalog = publish_catalog
        self._on_stop: Callable[[], object] | None = None
        self._asked = 0
        # Questions that a tool puts side by side become visible side by side: one commit holds them all.
        self._questions: Batch[Question, Asked] = Batch(partial(claims.ask, self.held))
        self._unanswered: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._unwritten_progress: Progress | None = None
        self._unwritten_message: str | None = None
        self._unwritten_lines: list[dict[str, Any]] = []
        self._something_unwritten = asyncio.Event()

    # --- why it ends -----------------------------------------------------------------------------------------

    def when_stopped(self, stop_run: Callable[[], object]) -> None:
        """What ends the run; called at most once, at once if the session has been stopped already."""
        self._on_stop = stop_run
        if self.stopped is not None:
            stop_run()

    def stop(self, reason: Stop) -> None:
        """End the run; the first reason counts."""
        if self.stopped is None:
            self.stopped = reason
            if self._on_stop is not None:
                self._on_stop()

    async def look_again(self) -> None:
        """A caller has changed the task: hand over answers that have come."""
        if self._unanswered:
            responses = await self._claims.responses(self.task.id)
            for key, response in responses.items():
                waiting = self._unanswered.get(key)
                if waiting is not None and not waiting.done():
                    waiting.set_result(response)

    # --- what the tool asks for ------------------------------------------------------------------------------

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
        progress = float(progress) if self.progress is None else max(float(progress), self.progress.progress)
        total = None if total is None else float(total)
        self.progress = self._unwritten_progress = Progress(progress, total, message)
        if message is not None:
            message = self.message = self._unwritten_message = recordable(message)
        self._something_unwritten.set()
        await self._signal_to_attached(TaskProgressed(self.task.id, progress, total, message))

    async def report_status(self, message: str) -> None:
        self.message = self._unwritten_message = recordable(message)
        self._something_unwritten.set()

    async def log(self, level: str, data: Any, logger: str | None) -> None:
        self._unwritten_lines.append({"level": level, "data": data, "logger": logger})
        self._something_unwritten.set()
        wanted = self.task.origin.log_level
        if wanted is not None and SEVERITY.index(level) >= SEVERITY.index(wanted):
            await self._signal_to_attached(TaskLogged(self.task.id, level, data, logger))

    async def request_input(self, key: str | None, method: str, params: dict[str, Any]) -> dict[str, Any]:
        request: dict[str, Any] = {"method": method, "params": params}
        missing = missing_capability(request, self.task.origin.capabilities)
        if missing is not None:
            raise RpcError(
                MISSING_CLIENT_CAPABILITY,
                "Missing required client capability",
                {"requiredCapabilities": missing},
            )
        self._asked += 1
        question = Question(key or f"question-{self._asked}", request)
        asked = await self._fenced(self._questions.submit(question))
        if asked.response is not None:
            return asked.response
        return await self._wait_for_answer(asked.key)

    async def recall(self, step: str) -> tuple[bool, Any]:
        return await self._claims.recall(self.task.id, step)

    async def remember(self, step: str, value: Any) -> None:
        await self._fenced(self._claims.remember(self.held, step, value))

    async def save_artifact(self, name: str, source: Path, mime_type: str) -> StoredArtifact:
        deposit = await self._artifacts.deposit(self.task.id, source)
        stored = StoredArtifact(
            artifact_uri(self.task.id, name), name, mime_type, deposit.size, deposit.sha256
        )
        record = {
            "name": name,
            "mime_type": mime_type,
            "size": deposit.size,
            "sha256": deposit.sha256,
            "location": deposit.location,
        }
        await self._fenced(self._claims.record_artifact(self.held, record))
        return stored

    async def announce_resource(self, uri: str) -> None:
        await self._announcer.signal(ResourceUpdated(uri))

    async def publish_catalog(self) -> None:
        await self._publish_catalog()

    # --- how it is done --------------------------------------------------------------------------------------

    async def write_reports(self) -> None:
        """Bring progress, status and log lines into the record, now and then, until cancelled."""
        while True:
            await self._something_unwritten.wait()
            self._something_unwritten.clear()
            try:
                await self._write()
            except StaleTransition:
                self.stop(Stop.LOST)
                return
            except DATABASE_UNAVAILABLE as error:
                log.warning("task %s: progress cannot be written: %s", self.task.id, error)
            await anyio.sleep(WRITE_PAUSE_SECONDS)

    async def write_lines(self) -> None:
        """The log lines that have not been written yet."""
        lines, self._unwritten_lines = self._unwritten_lines, []
        if lines:
            await self._claims.note(self.held, lines)

    async def _write(self) -> None:
        progress, self._unwritten_progress = self._unwritten_progress, None
        message, self._unwritten_message = self._unwritten_message, None
        if progress is not None or message is not None:
            await self._claims.report(self.held, progress, message)
        await self.write_lines()

    async def _wait_for_answer(self, key: str) -> dict[str, Any]:
        answer = self._unanswered.setdefault(key, asyncio.get_running_loop().create_future())
        # The answer may have come between the commit of the question and this moment.
        await self.look_again()
        with anyio.move_on_after(self._park_after_seconds):
            return await asyncio.shield(answer)
        if not answer.done() and await self._claims.park(self.held):
            self.stop(Stop.PARKED)
            await asyncio.get_running_loop().create_future()
        await self.look_again()
        return await answer

    async def _fenced(self, write: Awaitable[Written]) -> Written:
        try:
            return await write
        except StaleTransition:
            self.stop(Stop.LOST)
            raise asyncio.CancelledError from None

    async def _signal_to_attached(self, signal: Signal) -> None:
        if self.task.origin.door is Door.ATTACHED:
            await self._announcer.signal(signal)


def recordable(message: str) -> str:
    """A message as every database and every client can take it: valid Unicode, no NUL, of sensible length."""
    clean = message.replace("\0", "").encode(errors="replace").decode()
    return clean if len(clean) <= MESSAGE_LENGTH else clean[: MESSAGE_LENGTH - 1] + "…"
