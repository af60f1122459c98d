"""Taking tasks and keeping them: claims and leases. What a worker may do to a task follows from what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.batch import Batch
from tasks_server.encoding import encode_text
from tasks_server.errors import StaleTransition, TaskUnreadable
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.breakers import Admission, Breakers
from tasks_server.lifecycle.ends import Ends
from tasks_server.lifecycle.events import EventKind, Released, event
from tasks_server.lifecycle.fence import Held, insert_events
from tasks_server.lifecycle.notes import Notes
from tasks_server.lifecycle.questions import Questions
from tasks_server.lifecycle.window import DispatchWindow
from tasks_server.store.database import Database
from tasks_server.store.outage import is_outage
from tasks_server.store.rows import task_from_row
from tasks_server.store.statements import claims as claims_sql
from tasks_server.store.statements import together as together_sql
from tasks_server.task import Task


@dataclass(frozen=True, slots=True)
class Standing:
    """A task that is still held, and whether its cancellation has been asked for.

    renewed: False when its lease could not be prolonged, because somebody else has locked the task.
    """

    held: Held
    cancel_requested: bool
    renewed: bool = True


@dataclass(frozen=True, slots=True)
class _Taken:
    """A task that has been claimed, and its row with what was told beside it."""

    row: Any
    task: Task


class Claims(Notes, Questions, Ends):
    """Everything one worker does to the tasks it runs. A write whose fence no longer holds raises StaleTransition."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        breakers: Breakers,
        *,
        worker_id: str,
        lease_ms: int,
        window: DispatchWindow | None = None,
    ) -> None:
        Ends.__init__(self, database, announcer, breakers, worker_id, window)
        self._lease_ms = lease_ms
        self._claiming: Batch[tuple[str, int], _Taken | TaskUnreadable | None] = Batch(
            self._claim_together, hits_all=is_outage
        )
        self._max_running = None if window is None else window.quotas.max_running

    async def claim(self, task_id: str, attempt: int) -> Task | None:
        """The task, now held by this worker.

        None when it is gone, taken, finished or on a later attempt; when its owner may not run more, and then it
        waits behind his window until another one of his ends; and while its tool's circuit breaker is open.
        """
        taken = None
        if self._max_running is None:
            taken = await self._claiming.submit((task_id, attempt))
        if isinstance(taken, TaskUnreadable):
            raise taken
        if taken is None:
            return await self._claim_alone(task_id, attempt)
        self._announcer.changed_soon(task_id)
        self._note_room(taken.row, None)
        self._breakers.noticed(taken.row.name, taken.row.failures_of_its_tool)
        return taken.task

    async def _claim_together(
        self, wanted: Sequence[tuple[str, int]]
    ) -> Sequence[_Taken | TaskUnreadable | None]:
        """Those that could be taken at once."""
        is_sqlite = self._database.is_sqlite
        claim, given = together_sql.claim_all_waiting(is_sqlite=is_sqlite)
        parameters = {
            **given.parameters(wanted),
            "worker": self.worker_id,
            "lease_ms": self._lease_ms,
            **({} if is_sqlite else {"kind": EventKind.ATTEMPT, "worker_json": encode_text(self.worker_id)}),
        }
        async with self._database.quick_writing(statements_on_sqlite=2) as connection:
            rows = await connection.fetch(claim, parameters)
            if is_sqlite and rows:
                log, given = together_sql.log_events()
                await connection.fetch(
                    log, given.parameters([tuple(self._attempt(row).values()) for row in rows])
                )
        taken = {(row.id, row.attempt): await self._read(row) for row in rows}
        # Whoever wants the same attempt a second time is told that it is taken.
        return [taken.pop(each, None) for each in wanted]

    async def _read(self, row: Any) -> _Taken | TaskUnreadable:
        """What was claimed; if it cannot be read it is handed back, because another worker may be newer."""
        try:
            return _Taken(row, task_from_row(row))
        except TaskUnreadable as unreadable:
            # The neighbours of the batch are held, whatever became of this one.
            with suppress(StaleTransition):
                await self.release(Held(row.id, row.attempt), Released.UNREADABLE, announce=False)
            return unreadable

    async def _claim_alone(self, task_id: str, attempt: int) -> Task | None:
        async with self._database.transaction() as connection:
            row, stepped_back, paused = await self._take_or_step_back(connection, task_id, attempt)
            task = None if row is None else task_from_row(row)  # what cannot be read is not claimed
            if row is not None:
                await insert_events(connection, [self._attempt(row)])
        if row is not None or stepped_back is not None or paused:
            await self._announcer.changed(task_id)
        self._note_room(row, stepped_back)
        if row is not None:
            self._breakers.noticed(row.name, row.failures_of_its_tool)
        return task

    def _attempt(self, row: Any) -> dict[str, Any]:
        body = {"attempt": row.attempt, "worker": self.worker_id}
        return event(row.id, row.updated_at, EventKind.ATTEMPT, body)

    async def _take_or_step_back(
        self, connection: AsyncConnection, task_id: str, attempt: int
    ) -> tuple[Any | None, Any | None, bool]:
        """The row if it is taken, the row if it has stepped back, and whether a circuit breaker has paused it."""
        if self._max_running is None:
            row, admission = await self._take_if_admitted(connection, task_id, attempt)
            return row, None, admission is Admission.PAUSED
        if not self._database.is_sqlite:
            await connection.execute(claims_sql.claim_one_at_a_time(task_id))
        for _ in range(2):  # another one may end between the two statements: then neither changes a row
            row, admission = await self._take_if_admitted(connection, task_id, attempt)
            if row is not None or admission is Admission.PAUSED:
                return row, None, admission is Admission.PAUSED
            step = claims_sql.step_back_if_over_limit(task_id, attempt, self._max_running)
            stepped_back = (await connection.execute(step)).one_or_none()
            if stepped_back is not None:
                return None, stepped_back, False
        return None, None, False

    async def _take_if_admitted(
        self, connection: AsyncConnection, task_id: str, attempt: int
    ) -> tuple[Any | None, Admission | None]:
        row, admission = await self._take(connection, task_id, attempt), None
        if row is None:
            admission = await self._breakers.admit(connection, task_id, attempt)
        if admission is Admission.PROBE:
            row = await self._take(connection, task_id, attempt, is_probe=True)
        return row, admission

    async def _take(
        self, connection: AsyncConnection, task_id: str, attempt: int, *, is_probe: bool = False
    ) -> Any | None:
        fence = (task_id, attempt, self.worker_id, self._lease_ms)
        claim = claims_sql.claim_if_waiting(*fence, self._max_running, is_probe=is_probe)
        return (await connection.execute(claim)).one_or_none()

    async def claimed(self, task_id: str, attempt: int) -> Task | None:
        """The task if this worker holds it: what a claim whose answer was lost may have brought about."""
        async with self._database.reading() as connection:
            row = (
                await connection.execute(claims_sql.task_if_held(task_id, attempt, self.worker_id))
            ).one_or_none()
        if row is None:
            return None
        self._breakers.noticed(row.name, row.failures_of_its_tool)
        return task_from_row(row)

    def _note_room(self, claimed: Any | None, stepped_back: Any | None) -> None:
        if self._window is None:
            return
        if claimed is not None and claimed.has_backlog:
            self._window.left((claimed.owner, claimed.queue))
        if stepped_back is not None:
            # What it has to wait for may have ended before it could be seen waiting.
            self._window.ended(stepped_back.owner)

    async def renew(self, task_ids: Sequence[str]) -> Sequence[Standing]:
        """Prolong these leases, in one statement unless some are locked or lost.

        What is missing from the answer has been lost.
        """
        renewal = claims_sql.renew_leases(self.worker_id, task_ids, self._lease_ms)
        async with self._database.writing() as connection:
            rows = (await connection.execute(renewal)).all()
            standings = [_standing(row, renewed=True) for row in rows]
            if missing := set(task_ids).difference(row.id for row in rows):
                still_held = claims_sql.held_among(self.worker_id, list(missing))
                rows = (await connection.execute(still_held)).all()
                standings += [_standing(row, renewed=False) for row in rows]
        return standings

    async def look(self, held: Held) -> Standing | None:
        """How one held task stands; None when it has been lost or has ended."""
        async with self._database.reading() as connection:
            row = (await connection.execute(claims_sql.standing(*self._fence(held)))).one_or_none()
        return None if row is None else Standing(held, row.cancel_requested_at is not None)


def _standing(row: Any, *, renewed: bool) -> Standing:
    return Standing(Held(row.id, row.attempt), row.cancel_requested_at is not None, renewed)
