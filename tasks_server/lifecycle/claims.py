"""The status changes that a worker causes, each fenced by the attempt and the lease it claimed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.elicitation import no_answer
from tasks_server.encoding import decode_json, encode_text
from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.breakers import Admission, Breakers
from tasks_server.lifecycle.events import EventKind, event, kept
from tasks_server.lifecycle.window import DispatchWindow
from tasks_server.store.database import Database
from tasks_server.store.rows import task_from_row
from tasks_server.store.statements import claims as claims_sql
from tasks_server.store.statements import reading as reading_sql
from tasks_server.store.statements import requests as requests_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.task import OutcomeKind, Progress, Task, TaskStatus


@dataclass(frozen=True, slots=True)
class Held:
    """A task this worker holds, and nobody else: the fence that every write carries."""

    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A task that is still held, and whether its cancellation has been asked for.

    renewed: False when its lease could not be prolonged, because somebody else has locked the task.
    """

    held: Held
    cancel_requested: bool
    renewed: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the tool puts it. ordinal names it on every run of the tool; request is the wire object.

    within_ms: how long it may stay open; then default becomes its response, or, without one, what says that
    nobody answered.
    """

    ordinal: str
    request: dict[str, Any]
    within_ms: int | None = None
    default: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it stands: the key the client sees, and the client's response if there is one."""

    key: str
    response: dict[str, Any] | None


class Claims:
    """What one worker does to the tasks it runs. A write whose fence no longer holds raises StaleTransition."""

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
        self._database = database
        self._announcer = announcer
        self._breakers = breakers
        self.worker_id = worker_id
        self._lease_ms = lease_ms
        self._window = window
        self._max_running = None if window is None else window.quotas.max_running

    async def claim(self, task_id: str, attempt: int) -> Task | None:
        """The task, now held by this worker.

        None when it is gone, taken, finished or on a later attempt; when its owner may not run more, and then it
        waits behind his window until another one of his ends; and while its tool's circuit breaker is open.
        """
        async with self._database.transaction() as connection:
            row, stepped_back, paused = await self._take_or_step_back(connection, task_id, attempt)
            task = None if row is None else task_from_row(row)  # what cannot be read is not claimed
            if row is not None:
                body = {"attempt": attempt, "worker": self.worker_id}
                await _log(connection, task_id, row.updated_at, EventKind.ATTEMPT, body)
        if row is not None or stepped_back is not None or paused:
            await self._announcer.changed(task_id)
        self._note_room(row, stepped_back)
        if row is not None:
            self._breakers.noticed(row.name, row.failures_of_its_tool)
        return task

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
        return None if row is None else task_from_row(row)

    def _note_room(self, claimed: Any | None, stepped_back: Any | None) -> None:
        if self._window is None:
            return
        if claimed is not None and claimed.has_backlog:
            self._window.left((claimed.owner, claimed.queue))
        if stepped_back is not None:
            # What it has to wait for may have ended before it could be seen waiting.
            self._window.ended(stepped_back.owner)

    def note_end(self, owner: str) -> None:
        """A task of this owner is not held any more."""
        if self._window is not None:
            self._window.ended(owner)

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

    async def report(self, held: Held, progress: Progress | None, message: str | None) -> None:
        """Write progress and status message into the record."""
        values: dict[str, Any] = {}
        if progress is not None:
            values |= {"progress": progress.progress, "progress_total": progress.total}
        if message is not None:
            values["status_message"] = message
        async with self._database.transaction() as connection:
            change = claims_sql.report_if_held(*self._fence(held), values)
            row = await self._guarded(connection, held, change, "reported")
            progressed = event(held.task_id, row.updated_at, EventKind.PROGRESS, values)
            await _insert(connection, kept([progressed], row.log_rows))
        await self._announcer.changed(held.task_id)

    async def note(self, held: Held, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append log lines to the event log, as far as there is room for them."""
        async with self._database.transaction() as connection:
            change = claims_sql.count_lines_if_held(*self._fence(held), len(lines))
            row = await self._guarded(connection, held, change, "logged")
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            logged = [event(held.task_id, now, EventKind.LOG, line) for line in lines]
            await _insert(connection, kept(logged, row.log_rows))

    async def ask(self, held: Held, questions: Sequence[Question]) -> Sequence[Asked]:
        """Put questions, all at once, except those that have been put before: their keys and answers come back.

        A different question under the same ordinal replaces the old one, under a new key.
        """
        async with self._database.transaction() as connection:
            await self._guarded(connection, held, claims_sql.lock_if_held(*self._fence(held)), "asked")
            asked = [await self._find_or_insert(connection, held, question) for question in questions]
            unanswered = any(answer.response is None for answer in asked)
            if unanswered:
                change = claims_sql.require_input_if_held(*self._fence(held))
                await self._guarded(connection, held, change, TaskStatus.INPUT_REQUIRED)
        if unanswered:
            await self._announcer.changed(held.task_id)
        return asked

    async def _find_or_insert(self, connection: AsyncConnection, held: Held, question: Question) -> Asked:
        request = encode_text(question.request)
        rows = (await connection.execute(reading_sql.questions_of(held.task_id))).all()
        for row in rows:
            if row.ordinal == question.ordinal and row.request == request and row.withdrawn_at is None:
                return Asked(row.key, None if row.response is None else decode_json(row.response))
        for row in rows:
            if row.ordinal == question.ordinal:
                await connection.execute(claims_sql.withdraw_question(held.task_id, row.key))
        key = _unused_key(question.ordinal, {row.key for row in rows})
        now: int = (await connection.execute(terms_sql.clock())).scalar_one()
        row = {
            "task_id": held.task_id,
            "key": key,
            "ordinal": question.ordinal,
            "request": request,
            "asked_at": now,
            **_deadline(question, now),
        }
        await connection.execute(requests_sql.insert_questions(), [row])
        await _log(connection, held.task_id, now, EventKind.QUESTION, {"key": key})
        return Asked(key, None)

    async def responses(self, task_id: str) -> dict[str, dict[str, Any]]:
        """The answers given so far, by question key."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(reading_sql.questions_of(task_id))).all()
        return {row.key: decode_json(row.response) for row in rows if row.response is not None}

    async def withdraw(self, held: Held, key: str) -> None:
        """Take back a question that nobody waits for any more; with none left open, the task is working again."""
        async with self._database.transaction() as connection:
            await self._guarded(connection, held, claims_sql.lock_if_held(*self._fence(held)), "withdrawn")
            if (await connection.execute(claims_sql.withdraw_question(held.task_id, key))).rowcount == 0:
                return
            rows = (await connection.execute(reading_sql.questions_of(held.task_id))).all()
            is_asking = any(row.response is None and row.withdrawn_at is None for row in rows)
            change = requests_sql.touch_if_open if is_asking else requests_sql.resume_if_asking
            await connection.execute(change(held.task_id))
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            await _log(connection, held.task_id, now, EventKind.WITHDRAWN, {"key": key})
        await self._announcer.changed(held.task_id)

    async def park(self, held: Held) -> bool:
        """Give up slot and lease while a question is open. False: it has been answered in the meantime."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(claims_sql.park_if_asking(*self._fence(held)))).one_or_none()
            if row is None:
                return False
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            await _log(connection, held.task_id, now, EventKind.PARKED, {"attempt": held.attempt})
        self.note_end(row.owner)
        return True

    async def finish(
        self,
        held: Held,
        kind: OutcomeKind,
        outcome: str | None,
        progress: Progress | None,
        message: str | None,
    ) -> Task:
        """End the task. outcome: the encoded wire result or RPC error object; None when cancelled.

        When the answer to its commit was lost, `has_finished` says whether it holds.
        """
        values: dict[str, Any] = {"status_message": message}
        if progress is not None:
            values |= {"progress": progress.progress, "progress_total": progress.total}
        change = claims_sql.finish_if_held(*self._fence(held), kind, outcome, values)
        async with self._database.writing() as connection:
            row = await self._guarded(connection, held, change, kind)
        self.note_end(row.owner)
        await self._announcer.changed(held.task_id)
        if kind is OutcomeKind.RESULT:
            await self._breakers.succeeded(row.name, row.id)
        return task_from_row(row)

    async def has_finished(self, held: Held, kind: OutcomeKind, outcome: str | None) -> bool:
        """Whether the task has ended in this attempt and just like this; then it is announced (again)."""
        async with self._database.reading() as connection:
            ended = claims_sql.outcome_if_ended(held.task_id, held.attempt)
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
            row = (await connection.execute(claims_sql.last_let_go(held.task_id))).one_or_none()
        if row is None or decode_json(row.body)["attempt"] != held.attempt:
            return await self.has_finished(held, OutcomeKind.CANCELLED, None)
        # What waits again is announced by the dispatcher in a moment.
        await self._announcer.changed(held.task_id)
        return True

    async def release(self, held: Held, *, announce: bool = True) -> None:
        """Hand the task back uncharged, for another worker to run; a task that asks is parked instead.

        One whose cancellation was asked for ends as cancelled. announce False leaves it to the dispatcher,
        after a pause that is longer the more often the task has changed hands.
        """
        pause = terms_sql.REDISPATCH_AFTER_MS
        if not announce:
            pause = min(pause * 2 ** min(held.attempt, 10), terms_sql.REDISPATCH_AT_MOST_MS)
        async with self._database.transaction() as connection:
            release = claims_sql.release_if_held(*self._fence(held), pause)
            row = (await connection.execute(release)).one_or_none()
            if row is not None:
                now: int = (await connection.execute(terms_sql.clock())).scalar_one()
                await _log(connection, held.task_id, now, EventKind.RELEASED, {"attempt": held.attempt})
        if row is None:
            await self.finish(held, OutcomeKind.CANCELLED, None, None, "Cancelled")
            return
        self.note_end(row.owner)
        task = task_from_row(row)
        if announce and task.status is TaskStatus.WORKING:
            await self._announcer.waiting([task])

    async def recall(self, task_id: str, name: str) -> tuple[bool, Any]:
        """(True, value) when a step of this name has been remembered."""
        async with self._database.reading() as connection:
            row = (await connection.execute(claims_sql.checkpoint(task_id, name))).one_or_none()
        return (False, None) if row is None else (True, decode_json(row.value))

    async def remember(self, held: Held, name: str, value: Any) -> None:
        """Keep the value of a step; one of the same name is replaced."""
        async with self._database.transaction() as connection:
            await self._guarded(connection, held, claims_sql.lock_if_held(*self._fence(held)), "remembered")
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            await connection.execute(claims_sql.delete_checkpoint(held.task_id, name))
            row = {"task_id": held.task_id, "name": name, "value": encode_text(value), "at": now}
            await connection.execute(claims_sql.insert_checkpoint(), [row])

    async def record_artifact(self, held: Held, artifact: Mapping[str, Any]) -> str | None:
        """Record a file that lies in the artifact store; the location of the one that it replaces, if any."""
        async with self._database.transaction() as connection:
            await self._guarded(connection, held, claims_sql.lock_if_held(*self._fence(held)), "stored")
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            replace = claims_sql.delete_artifact(held.task_id, artifact["name"])
            replaced: str | None = (await connection.execute(replace)).scalar_one_or_none()
            row = {"task_id": held.task_id, "created_at": now, **artifact}
            await connection.execute(claims_sql.insert_artifact(), [row])
        # The same one, when this is said again because the answer to the first commit was lost.
        return None if replaced == artifact["location"] else replaced

    def _fence(self, held: Held) -> tuple[str, int, str]:
        return held.task_id, held.attempt, self.worker_id

    async def _guarded(self, connection: AsyncConnection, held: Held, change: Any, wanted: str) -> Any:
        row = (await connection.execute(change)).one_or_none()
        if row is None:
            raise StaleTransition(held.task_id, wanted)
        return row


def _standing(row: Any, *, renewed: bool) -> Standing:
    return Standing(Held(row.id, row.attempt), row.cancel_requested_at is not None, renewed)


def _unused_key(ordinal: str, taken: set[str]) -> str:
    if ordinal not in taken:
        return ordinal
    number = 2
    while f"{ordinal}.{number}" in taken:
        number += 1
    return f"{ordinal}.{number}"


def _deadline(question: Question, now: int) -> dict[str, Any]:
    if question.within_ms is None:
        return {}
    default = question.default or no_answer(question.within_ms)
    return {"deadline_at": now + question.within_ms, "default_response": encode_text(default)}


async def _log(
    connection: AsyncConnection, task_id: str, at: int, kind: EventKind, body: Mapping[str, Any]
) -> None:
    await _insert(connection, [event(task_id, at, kind, body)])


async def _insert(connection: AsyncConnection, events: Sequence[dict[str, Any]]) -> None:
    if events:
        await connection.execute(requests_sql.insert_events(), events)
