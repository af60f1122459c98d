"""One run of one task on this worker: what its tool asks for, and why it may be stopped.

The session is the worker's end of a tool's context (`TaskPort`). It writes through `Claims`, so every write is
fenced; a fence that no longer holds means that the task was lost, and stops the run.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio

from tasks_server.artifacts import ArtifactStore, artifact_uri
from tasks_server.batch import Batch
from tasks_server.elicitation import cannot_be_asked, missing_capability
from tasks_server.errors import MISSING_CLIENT_CAPABILITY, ArtifactStoreFailed, RpcError, StaleTransition
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.fence import Held
from tasks_server.lifecycle.questions import Asked, Question
from tasks_server.log_level import is_wanted
from tasks_server.signals import ResourceUpdated, TaskLogged, TaskProgressed
from tasks_server.store.outage import is_outage, through_outages
from tasks_server.task import Door, Task
from workers.abridging import OWN_NAMES
from workers.errors import ToolError, Transient
from workers.port import StoredArtifact
from workers.reports import Reports

log = logging.getLogger(__name__)

Returned = TypeVar("Returned")


class Stop(StrEnum):
    """Why a run ends before its tool does."""

    CANCELLED = "cancelled"
    PARKED = "parked"
    LOST = "lost"
    TIMED_OUT = "timed out"
    SHUTDOWN = "shutdown"
    NO_SLOT = "no slot"


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
        self.reports = Reports(claims, self.held, announces_lines=task.origin.has_handshake)
        self._reporting: asyncio.Task[None] | None = None
        self.stopped: Stop | None = None
        self._claims = claims
        self._announcer = announcer
        self._artifacts = artifacts
        self._park_after_seconds = park_after_seconds
        self._publish_catalog = publish_catalog
        self._on_stop: Callable[[], object] | None = None
        self._asked = 0
        # Questions that a tool puts side by side become visible side by side: one commit holds them all.
        self._questions: Batch[Question, Asked] = Batch(partial(claims.ask, self.held), hits_all=is_outage)
        self._unanswered: dict[str, asyncio.Future[dict[str, Any]]] = {}
        # How many wait for a question, by its ordinal, and the questions that are just being taken back.
        self._askers: Counter[str] = Counter()
        self._withdrawals: set[asyncio.Task[None]] = set()

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
            responses = await self.responses()
            for key, response in responses.items():
                waiting = self._unanswered.get(key)
                if waiting is not None and not waiting.done():
                    waiting.set_result(response)

    async def responses(self) -> dict[str, dict[str, Any]]:
        """All answers so far, by question key."""
        return await self._patiently(partial(self._claims.responses, self.task.id))

    # --- what the tool asks for ------------------------------------------------------------------------------

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
        reached = self.reports.reach(progress, total, message)
        if self.task.origin.wants_progress:
            # Before it is in the record, where a follower could find the newest and never be told what came before.
            await self._announcer.signal(
                TaskProgressed(self.task.id, reached.progress, reached.total, reached.message)
            )
        self.reports.write_progress_soon()
        self._start_reporting()

    async def report_status(self, message: str) -> None:
        self.reports.add_message(message)
        self._start_reporting()

    async def log(self, level: str, data: Any, logger: str | None) -> None:
        line = self.reports.add_line(level, data, logger)
        self._start_reporting()
        origin = self.task.origin
        is_live = origin.door is Door.ATTACHED and not origin.has_handshake
        if is_live and is_wanted(level, origin.log_level):
            await self._announcer.signal(TaskLogged(self.task.id, **line))

    async def request_input(
        self,
        key: str | None,
        method: str,
        params: dict[str, Any],
        within_ms: int | None = None,
        default: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        request: dict[str, Any] = {"method": method, "params": params}
        missing = missing_capability(request, self.task.origin.capabilities)
        if missing is not None:
            raise RpcError(
                MISSING_CLIENT_CAPABILITY,
                cannot_be_asked(self.task.name, missing),
                {"requiredCapabilities": missing},
            )
        self._asked += 1
        question = Question(key or f"question-{self._asked}", request, within_ms, default)
        await self.settled()
        self._askers[question.ordinal] += 1
        asking = asyncio.ensure_future(self._patiently(partial(self._questions.submit, question)))
        try:
            asked = await asyncio.shield(asking)
            if asked.response is not None:
                return asked.response
            return await self._wait_for_answer(asked.key)
        except asyncio.CancelledError:
            self._asker_left(question, asking)
            raise
        finally:
            self._askers[question.ordinal] -= 1

    async def recall(self, step: str) -> tuple[bool, Any]:
        return await self._patiently(partial(self._claims.recall, self.task.id, step))

    async def remember(self, step: str, value: Any) -> None:
        await self._patiently(partial(self._claims.remember, self.held, step, value))

    async def save_artifact(self, name: str, source: Path, mime_type: str) -> StoredArtifact:
        if name.startswith(OWN_NAMES):
            raise ToolError(f"{name}: names that begin with {OWN_NAMES} are for the parts of large results.")
        return await self.keep(name, source, mime_type)

    async def keep(self, name: str, source: Path | bytes, mime_type: str) -> StoredArtifact:
        """Store an artifact under any name. Raises Transient when that fails."""
        try:
            deposit = await self._artifacts.deposit(self.task.id, source)
        except ArtifactStoreFailed as error:
            log.warning("task %s: %s cannot be stored: %s", self.task.id, name, error.__cause__ or error)
            raise Transient(f"{name} could not be stored. {error}") from error
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
        replaced = await self._patiently(partial(self._claims.record_artifact, self.held, record))
        if replaced is not None:
            await self._artifacts.discard(replaced)
        return stored

    async def announce_resource(self, uri: str) -> None:
        await self._announcer.signal(ResourceUpdated(uri))

    async def publish_catalog(self) -> None:
        await self._publish_catalog()

    # --- how it is done --------------------------------------------------------------------------------------

    async def reports_written(self) -> None:
        """The run is over: wait until what is just being written of its reports is there."""
        self.reports.end()
        if self._reporting is not None:
            await asyncio.gather(self._reporting, return_exceptions=True)

    def _start_reporting(self) -> None:
        """Most runs say nothing about themselves."""
        if self._reporting is None:
            self._reporting = asyncio.create_task(self._write_reports(), name=f"reports of {self.task.id}")

    async def _write_reports(self) -> None:
        """Bring the reports into the record, until they are ended."""
        try:
            await self.reports.write_until_ended()
        except StaleTransition:
            self.stop(Stop.LOST)

    async def settled(self) -> None:
        """Questions whose askers gave up have been taken back."""
        while self._withdrawals:
            await asyncio.wait(self._withdrawals)

    def _asker_left(self, question: Question, asking: asyncio.Task[Asked]) -> None:
        """The tool has stopped waiting for this answer; unless the whole run ends, nobody needs it any more."""
        if self.stopped is not None:
            asking.cancel()
            return
        withdrawal = asyncio.ensure_future(self._withdraw(question, asking))
        self._withdrawals.add(withdrawal)
        withdrawal.add_done_callback(self._withdrawals.discard)

    async def _withdraw(self, question: Question, asking: asyncio.Task[Asked]) -> None:
        with suppress(Exception, asyncio.CancelledError):  # it was not put at all, or the task is lost
            key = (await asking).key
            if not self._askers[question.ordinal]:
                self._unanswered.pop(key, None)
                await self._patiently(partial(self._claims.withdraw, self.held, key))

    async def _wait_for_answer(self, key: str) -> dict[str, Any]:
        answer = self._unanswered.setdefault(key, asyncio.get_running_loop().create_future())
        # The answer may have come between the commit of the question and this moment.
        await self.look_again()
        with anyio.move_on_after(self._park_after_seconds):
            return await asyncio.shield(answer)
        if not answer.done() and await self._patiently(partial(self._claims.park, self.held)):
            self.stop(Stop.PARKED)
            await asyncio.get_running_loop().create_future()
        await self.look_again()
        return await answer

    async def _patiently(self, call: Callable[[], Awaitable[Returned]]) -> Returned:
        """A tool knows nothing of databases: it waits while ours is away, and ends when its task is lost."""
        try:
            return await through_outages(call, f"task {self.task.id}")
        except StaleTransition:
            self.stop(Stop.LOST)
            raise asyncio.CancelledError from None
