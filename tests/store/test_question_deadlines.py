"""Questions with a deadline: the default answers when nobody does, and an answer counts once."""

from __future__ import annotations

from typing import Any

import pytest

from tasks_server.lifecycle.questions import Asked, Question
from tasks_server.task import Task, TaskStatus
from tests.store.record import ASK_NAME, OWNER, Record, accept, asking, claim, finish, held

HOUR_MS = 60 * 60 * 1000
DEFAULT = accept("nobody")
COLOUR = Question("colour", asking("Which colour?"))


def within_an_hour(default: dict[str, Any] | None = None) -> Question:
    return Question("name", ASK_NAME, HOUR_MS, default)


async def asked(record: Record, *questions: Question, park: bool = True) -> Task:
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.ask(held(task), questions)
    if park:
        assert await worker.park(held(task))
    return await record.task(task.id)


async def time_passes(record: Record, task_id: str, by_ms: int = HOUR_MS) -> None:
    await record.sql(
        "UPDATE input_request SET asked_at = asked_at - :by, deadline_at = deadline_at - :by WHERE task_id = :id",
        by=by_ms,
        id=task_id,
    )


async def test_a_parked_task_goes_on_with_the_default(record: Record):
    task = await asked(record, within_an_hour(DEFAULT))
    assert await record.deadlines.close_overdue_questions() == 0
    await time_passes(record, task.id)
    assert await record.deadlines.close_overdue_questions() == 1
    after = await record.task(task.id)
    assert (after.status, after.input_requests, after.lease_worker) == (TaskStatus.WORKING, (), None)
    assert after.revision == task.revision + 1
    assert f"{task.id}:{after.attempt}" in await record.announced()
    worker = record.worker()
    again = await claim(worker, after)
    assert await worker.ask(held(again), [within_an_hour(DEFAULT)]) == [Asked("name", DEFAULT)]
    assert (await record.events(task.id))[-2] == ("answer", {"key": "name", "by": "deadline"})
    assert await record.deadlines.close_overdue_questions() == 0


async def test_a_held_task_goes_on_where_it_is(record: Record):
    task = await asked(record, within_an_hour(DEFAULT), park=False)
    jobs = await record.announced()
    await time_passes(record, task.id)
    assert await record.deadlines.close_overdue_questions() == 1
    after = await record.task(task.id)
    assert (after.status, after.lease_worker, after.attempt) == (TaskStatus.WORKING, "worker-1", task.attempt)
    assert await record.worker().responses(task.id) == {"name": DEFAULT}
    assert await record.announced() == jobs


async def test_without_a_default_the_record_says_that_nobody_answered(record: Record):
    task = await asked(record, within_an_hour())
    await time_passes(record, task.id)
    await record.deadlines.close_overdue_questions()
    (question,) = await record.rows("input_request", task.id)
    assert question["answered_by"] == "deadline"
    assert await record.worker().responses(task.id) == {
        "name": {"action": "cancel", "unansweredForMs": HOUR_MS}
    }


async def test_an_answer_in_time_is_the_clients(record: Record):
    task = await asked(record, within_an_hour(DEFAULT))
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    assert await record.deadlines.close_overdue_questions() == 0
    (question,) = await record.rows("input_request", task.id)
    assert question["answered_by"] == "client"


async def test_a_late_answer_answers_nothing(record: Record):
    task = await asked(record, within_an_hour(DEFAULT))
    await time_passes(record, task.id)
    await record.deadlines.close_overdue_questions()
    before = await record.rows("input_request", task.id)
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    assert await record.rows("input_request", task.id) == before


async def test_a_question_without_a_deadline_stays_open_beside_one_that_has_passed(record: Record):
    task = await asked(record, within_an_hour(DEFAULT), COLOUR)
    await time_passes(record, task.id)
    assert await record.deadlines.close_overdue_questions() == 1
    after = await record.task(task.id)
    assert after.status is TaskStatus.INPUT_REQUIRED
    assert [question.key for question in after.input_requests] == ["colour"]
    assert after.revision == task.revision + 1
    await record.requests.answer(OWNER, task.id, {"colour": accept("blue")})
    assert (await record.task(task.id)).status is TaskStatus.WORKING


async def test_asking_again_does_not_put_the_deadline_off(record: Record):
    task = await asked(record, within_an_hour(DEFAULT), park=False)
    (before,) = await record.rows("input_request", task.id)
    worker = record.worker()
    await worker.ask(held(task), [Question("name", ASK_NAME, 2 * HOUR_MS, accept("somebody"))])
    assert await record.rows("input_request", task.id) == [before]


@pytest.mark.parametrize("end", ["cancelled", "finished"])
async def test_the_questions_of_an_ended_task_are_looked_at_once(record: Record, end: str):
    task = await asked(record, within_an_hour(DEFAULT), park=end == "cancelled")
    if end == "cancelled":
        await record.requests.cancel(OWNER, task.id)
    else:
        await finish(record.worker(), task)
    ended = await record.task(task.id)
    await time_passes(record, task.id)
    assert await record.deadlines.close_overdue_questions() == 1
    assert await record.deadlines.close_overdue_questions() == 0
    (question,) = await record.rows("input_request", task.id)
    assert (question["response"], question["withdrawn_at"] is None) == (None, False)
    assert await record.task(task.id) == ended


async def test_a_question_that_is_taken_back_lets_the_task_work(record: Record):
    task = await asked(record, within_an_hour(DEFAULT), COLOUR, park=False)
    worker = record.worker()
    await worker.withdraw(held(task), "name")
    partly = await record.task(task.id)
    assert (partly.status, partly.revision) == (TaskStatus.INPUT_REQUIRED, task.revision + 1)
    assert [question.key for question in partly.input_requests] == ["colour"]
    await worker.withdraw(held(task), "colour")
    after = await record.task(task.id)
    assert (after.status, after.lease_worker) == (TaskStatus.WORKING, "worker-1")
    await time_passes(record, task.id)
    assert await record.deadlines.close_overdue_questions() == 0


async def test_an_answered_question_cannot_be_taken_back(record: Record):
    task = await asked(record, within_an_hour(DEFAULT), COLOUR, park=False)
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    before = await record.task(task.id)
    await record.worker().withdraw(held(task), "name")
    assert await record.task(task.id) == before
    assert await record.worker().responses(task.id) == {"name": accept("Ada")}
