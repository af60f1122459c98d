"""How an attempt ends: with an outcome, handed back, or parked behind a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks_server.batch import Batch
from tasks_server.encoding import decode_json
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.breakers import Breakers
from tasks_server.lifecycle.events import EventKind, Released
from tasks_server.lifecycle.fence import Fenced, Held, log_event
from tasks_server.lifecycle.window import DispatchWindow
from tasks_server.store.database import Database
from tasks_server.store.outage import is_outage
from tasks_server.store.rows import task_from_row
from tasks_server.store.statements import ends as ends_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.store.statements import together as together_sql
from tasks_server.task import STATUS_OF_OUTCOME, Method, OutcomeKind, Progress, TaskStatus

FINISHED_AT_ONCE = 100
"""Results may be large, and travel together."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a held task ends."""

    held: Held
    kind: OutcomeKind
    outcome: str | None
    progress: Progress | None
    message: str | None

    def as_row(self) -> tuple[Any, ...]:
        """In the order of the columns of `finish_all_held`."""
        progress, total = (
            (None, None) if self.progress is None else (self.progress.progress, self.progress.total)
        )
        status = STATUS_OF_OUTCOME[self.kind]
        return (
            self.held.task_id,
            self.held.attempt,
            status,
            self.kind,
            self.outcome,
            self.message,
            progress,
            total,
        )


class Ends(Fenced):
    """Whichever way it ends, nothing of this attempt can be written any more."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        breakers: Breakers,
        worker_id: str,
        window: DispatchWindow | None,
    ) -> None:
        super().__init__(database, announcer, worker_id)
        self._breakers = breakers
        self._window = window
        self._finishing: Batch[Ending, Any | None] = Batch(
            self._finish_together, limit=FINISHED_AT_ONCE, hits_all=is_outage
        )

    def note_end(self, owner: str) -> None:
        """A task of this owner is not held any more."""
        if self._window is not None:
            self._window.ended(owner)

    async def park(self, held: Held) -> bool:
        """Give up slot and lease while a question is open. False: it has been answered in the meantime."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(ends_sql.park_if_asking(*self._fence(held)))).one_or_none()
            if row is None:
                return False
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            await log_event(connection, held.task_id, now, EventKind.PARKED, {"attempt": held.attempt})
        self.note_end(row.owner)
        return True

    async def finish(
        self,
        held: Held,
        kind: OutcomeKind,
        outcome: str | None,
        progress: Progress | None,
        message: str | None,
    ) -> None:
        """End the task. outcome: the encoded wire result or RPC error object; None when cancelled.

        When the answer to its commit was lost, `has_finished` says whether it holds.
        """
        ending = Ending(held, kind, outcome, progress, message)
        row = await self._finishing.submit(ending)
        if row is None:
            row = await self._finish_alone(ending)
        self.note_end(row.owner)
        self._announcer.changed_soon(held.task_id)
        if kind is OutcomeKind.RESULT and row.method == Method.CALL_TOOL:
            await self._breakers.succeeded(row.name, row.id)

    async def _finish_together(self, endings: Sequence[Ending]) -> Sequence[Any | None]:
        """The rows of those that could be ended at once."""
        change, given = together_sql.finish_all_held(is_sqlite=self._database.is_sqlite)
        parameters = given.parameters([ending.as_row() for ending in endings]) | {"worker": self.worker_id}
        async with self._database.quick_writing() as connection:
            rows = await connection.fetch(change, parameters)
        ended = {row.id: row for row in rows}
        return [ended.get(ending.held.task_id) for ending in endings]

    async def _finish_alone(self, ending: Ending) -> Any:
        values: dict[str, Any] = {"status_message": ending.message}
        if ending.progress is not None:
            values |= {"progress": ending.progress.progress, "progress_total": ending.progress.total}
        fence = self._fence(ending.held)
        change = ends_sql.finish_if_held(*fence, ending.kind, ending.outcome, values)
        async with self._database.writing() as connection:
            return await self._guarded(connection, ending.held, change, ending.kind)

    async def has_finished(self, held: Held, kind: OutcomeKind, outcome: str | None) -> bool:
        """Whether the task has ended in this attempt and just like this; then it is announced (again)."""
        async with self._database.reading() as connection:
            ended = ends_sql.outcome_if_ended(held.task_id, held.attempt)
            row = (await connection.execute(ended)).one_or_none()
        if row is None or (row.outcome_kind, row.outcome) != (kind, outcome):
            return False
        await self._announcer.changed(held.task_id)
        return True

    async def has_let_go(self, held: Held) -> bool:
        """Whether this attempt was handed back, has failed, or was cancelled over that; then it is announced (again).

        For `release`, and for what `Failures` writes, when the answer to a commit was lost.
        """
        async with self._database.reading() as connection:
            row = (await connection.execute(ends_sql.last_let_go(held.task_id))).one_or_none()
        if row is None or decode_json(row.body)["attempt"] != held.attempt:
            return await self.has_finished(held, OutcomeKind.CANCELLED, None)
        # What waits again is announced by the dispatcher in a moment.
        await self._announcer.changed(held.task_id)
        return True

    async def release(self, held: Held, why: Released = Released.STOPPING, *, announce: bool = True) -> None:
        """Hand the task back uncharged, for another worker to run; a task that asks is parked instead.

        One whose cancellation was asked for ends as cancelled. announce False leaves it to the dispatcher,
        after a pause that is longer the more often the task has changed hands.
        """
        pause = terms_sql.REDISPATCH_AFTER_MS
        if not announce:
            pause = min(pause * 2 ** min(held.attempt, 10), terms_sql.REDISPATCH_AT_MOST_MS)
        async with self._database.transaction() as connection:
            release = ends_sql.release_if_held(*self._fence(held), pause)
            row = (await connection.execute(release)).one_or_none()
            if row is not None:
                now: int = (await connection.execute(terms_sql.clock())).scalar_one()
                body = {"attempt": held.attempt, "why": why}
                await log_event(connection, held.task_id, now, EventKind.RELEASED, body)
        if row is None:
            await self.finish(held, OutcomeKind.CANCELLED, None, None, "Cancelled")
            return
        self.note_end(row.owner)
        if announce and row.status == TaskStatus.WORKING:
            await self._announcer.waiting([task_from_row(row)])
