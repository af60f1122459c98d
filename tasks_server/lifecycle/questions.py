"""What a run asks the client: putting questions, and taking them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.elicitation import no_answer
from tasks_server.encoding import decode_json, encode_text
from tasks_server.lifecycle.events import EventKind
from tasks_server.lifecycle.fence import Fenced, Held, log_event
from tasks_server.store.statements import claims as claims_sql
from tasks_server.store.statements import questions as questions_sql
from tasks_server.store.statements import reading as reading_sql
from tasks_server.store.statements import requests as requests_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.task import TaskStatus


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


class Questions(Fenced):
    """A task's questions, as the worker that runs it sees them."""

    async def ask(self, held: Held, questions: Sequence[Question]) -> Sequence[Asked]:
        """Put questions, all at once, except those that have been put before: their keys and answers come back.

        A different question under the same ordinal replaces the old one, under a new key.
        """
        async with self._database.transaction() as connection:
            await self._guarded(connection, held, claims_sql.lock_if_held(*self._fence(held)), "asked")
            asked = [await self._find_or_insert(connection, held, question) for question in questions]
            unanswered = any(answer.response is None for answer in asked)
            if unanswered:
                change = questions_sql.require_input_if_held(*self._fence(held))
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
                await connection.execute(questions_sql.withdraw_question(held.task_id, row.key))
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
        await log_event(connection, held.task_id, now, EventKind.QUESTION, {"key": key})
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
            if (await connection.execute(questions_sql.withdraw_question(held.task_id, key))).rowcount == 0:
                return
            rows = (await connection.execute(reading_sql.questions_of(held.task_id))).all()
            is_asking = any(row.response is None and row.withdrawn_at is None for row in rows)
            change = requests_sql.touch_if_open if is_asking else requests_sql.resume_if_asking
            await connection.execute(change(held.task_id))
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            await log_event(connection, held.task_id, now, EventKind.WITHDRAWN, {"key": key})
        await self._announcer.changed(held.task_id)


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
