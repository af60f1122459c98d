"""Claim → run → finish: what happens to one task on this worker, as named steps over one session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tasks_server.artifacts import ArtifactStore
from tasks_server.encoding import decode_json
from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.events import Released
from tasks_server.lifecycle.fence import Held
from tasks_server.lifecycle.limits import limit_of_run
from tasks_server.queue import TaskQueue, job_id
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage, through_outages
from tasks_server.task import Method, Task
from workers.abridging import ResultLimits, abridged, refuse_above
from workers.endings import Endings
from workers.errors import NotOffered
from workers.execution.perform import perform
from workers.execution.work import Work
from workers.outcome import Outcome, outcome_of, outcome_of_stop
from workers.queue_worker import NoSlot, Slot
from workers.registry import Registry
from workers.session import Session, Stop
from workers.setbacks import Setback, Setbacks

log = logging.getLogger(__name__)


class Runner:
    """Runs tasks of one worker process; knows which are running here."""

    def __init__(
        self,
        registry: Registry,
        queue: TaskQueue,
        claims: Claims,
        announcer: Announcer,
        artifacts: ArtifactStore,
        *,
        setbacks: Setbacks,
        park_after_seconds: float,
        limits: ResultLimits,
        publish_catalog: Callable[[], Awaitable[None]],
        max_run_ms: int | None = None,
        database_lost: Callable[[BaseException], object] = lambda error: None,
    ) -> None:
        """database_lost hears of a task that cannot be claimed because the database is away."""
        self._registry = registry
        self._database_lost = database_lost
        self._queue = queue
        self._claims = claims
        self._announcer = announcer
        self._artifacts = artifacts
        self._endings = Endings(claims, setbacks)
        self._limits = limits
        self._park_after_seconds = park_after_seconds
        self._max_run_ms = max_run_ms
        self._publish_catalog = publish_catalog
        self.sessions: dict[str, Session] = {}
        self._leaving = False
        # Attempts that may be held already but have no session yet, and whether somebody has changed them meanwhile.
        self._claiming: dict[tuple[str, int], bool] = {}

    async def run(self, task_id: str, attempt: int, queue: str, slot: Slot) -> None:
        """The whole of it; does nothing if the task is not there to be claimed. slot: for the tool to run in.

        Nor if it is just being claimed: a job is picked again when the database does not answer for seconds.
        """
        if (task_id, attempt) in self._claiming:
            return
        self._claiming[task_id, attempt] = False
        try:
            session = await self._claim(task_id, attempt, queue)
        finally:
            nudged = self._claiming.pop((task_id, attempt))
        if session is None:
            return
        try:
            if nudged:
                with suppress(*DATABASE_UNAVAILABLE):  # then the next renewal notices
                    await self.look_at(task_id)
            await self._endings.record(session, await self._perform_in(slot, session))
        finally:
            if self.sessions.get(task_id) is session:
                del self.sessions[task_id]

    async def _perform_in(self, slot: Slot, session: Session) -> Outcome | Setback | None:
        try:
            async with slot:
                return await self._perform(session)
        except NoSlot:
            session.stop(Stop.NO_SLOT)  # handed back: another worker may have one
            return outcome_of_stop(session.stopped, session.task, "")

    def leave(self) -> None:
        """Stop everything that runs, and what is only just being claimed; all of it is handed back."""
        self._leaving = True
        for session in list(self.sessions.values()):
            session.stop(Stop.SHUTDOWN)

    async def _claim(self, task_id: str, attempt: int, queue: str) -> Session | None:
        task = await self._claim_through_outages(task_id, attempt)
        self._queue.forget(queue, job_id(task_id, attempt))
        if task is None:
            return None
        if not self._offers(task):
            await self._hand_back(task)
            return None
        session = Session(
            task,
            self._claims,
            self._announcer,
            self._artifacts,
            park_after_seconds=self._park_after_seconds,
            publish_catalog=self._publish_catalog,
        )
        # A former run of the task may still be here: on its way out, or not aware yet that it was overtaken.
        former = self.sessions.get(task_id)
        if former is not None:
            former.stop(Stop.LOST)
        self.sessions[task_id] = session
        if self._leaving:
            session.stop(Stop.SHUTDOWN)
        return session

    async def _claim_through_outages(self, task_id: str, attempt: int) -> Task | None:
        """Claim, however often the database goes away over it; nothing more is picked meanwhile."""
        try:
            return await self._claims.claim(task_id, attempt)
        except DATABASE_UNAVAILABLE as error:
            if not is_outage(error):
                raise
            self._database_lost(error)
        await self._queue.put_back(job_id(task_id, attempt))  # others may have a database

        async def claim_again() -> Task | None:
            # The claim may have been committed, and only its answer been lost.
            if self.holds(task_id, attempt):
                return None
            held = await self._claims.claimed(task_id, attempt)
            return held or await self._claims.claim(task_id, attempt)

        return await through_outages(claim_again, f"the claim of task {task_id}")

    def holds(self, task_id: str, attempt: int) -> bool:
        """Whether this attempt of the task runs here."""
        session = self.sessions.get(task_id)
        return session is not None and session.task.attempt == attempt

    def _offers(self, task: Task) -> bool:
        try:
            match task.method:
                case Method.CALL_TOOL:
                    self._registry.tool(task.name)
                case Method.GET_PROMPT:
                    self._registry.prompt(task.name)
                case Method.READ_RESOURCE | Method.COMPLETE:
                    pass
        except NotOffered:
            return False
        return True

    async def _hand_back(self, task: Task) -> None:
        """Another worker of this queue may know the tool; the dispatcher tries again in a moment."""
        log.error(
            "queue %r brought %s %r, which this worker does not offer; workers of one queue must offer the same",
            task.queue,
            task.method,
            task.name,
        )
        with suppress(StaleTransition):
            await self._claims.release(Held(task.id, task.attempt), Released.NOT_OFFERED, announce=False)

    async def look_at(self, task_id: str) -> None:
        """A caller has answered or cancelled this task; if it runs here, act on it."""
        for claiming in [each for each in self._claiming if each[0] == task_id]:
            self._claiming[claiming] = True
        session = self.sessions.get(task_id)
        if session is None:
            return
        standing = await self._claims.look(session.held)
        if standing is None:
            session.stop(Stop.LOST)
        elif standing.cancel_requested:
            session.stop(Stop.CANCELLED)
        else:
            await session.look_again()

    async def _perform(self, session: Session) -> Outcome | Setback | None:
        """Run the tool; None when this worker has no say in how the task ends."""
        task = session.task
        limit = limit_of_run(task, self._max_run_ms)
        work = asyncio.create_task(self._work(session), name=f"task {task.id}")
        session.when_stopped(work.cancel)
        try:
            timeout = None if limit is None else limit.left_ms / 1000
            done, _ = await asyncio.wait([work], timeout=timeout)
            if not done:
                session.stop(Stop.TIMED_OUT)
                await asyncio.wait([work])
        finally:
            await session.reports_written()
            if session.stopped is not Stop.LOST:
                await session.settled()
        exceeded = "" if limit is None else limit.exceeded(session.reports.progress, session.reports.message)
        return outcome_of(work, session.stopped, task, exceeded)

    async def _work(self, session: Session) -> dict[str, Any]:
        task = session.task
        answers: dict[str, Any] = {}
        if task.method is Method.CALL_TOOL and self._registry.tool(task.name).signature.questions:
            answers = await session.responses()
        work = Work(
            method=task.method,
            name=task.name,
            arguments=decode_json(task.arguments),
            answers=answers,
            task_id=task.id,
            attempt=task.attempt,
        )
        result = await perform(work, self._registry, session)
        if task.method is Method.CALL_TOOL:
            return await abridged(result, self._limits, session.keep)
        return refuse_above(self._limits.most, result, f"{task.method} {task.name}".strip())
