"""Questions and answers: keys are never reused, an answer counts once, the last one lets the task go on."""

from __future__ import annotations

from typing import Any

import pytest

from tasks_server.errors import InvalidAnswer, TaskNotFound
from tasks_server.lifecycle.questions import Asked, Question
from tasks_server.task import Task, TaskStatus
from tests.store.record import (
    ASK_NAME,
    OWNER,
    Record,
    accept,
    ask,
    asking,
    claim,
    finish,
    held,
)

COLOUR = asking("Which colour?")


async def asking_two(record: Record) -> Task:
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.ask(held(task), [Question("name", ASK_NAME), Question("colour", COLOUR)])
    return await record.task(task.id)


async def test_a_question_makes_the_task_wait_for_input(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    asked = await ask(worker, task)
    assert asked == Asked("name", None)
    waiting = await record.task(task.id)
    assert waiting.status is TaskStatus.INPUT_REQUIRED
    (question,) = waiting.input_requests
    assert question.key == "name"
    assert question.request == (await record.rows("input_request", task.id))[0]["request"]
    assert waiting.lease_worker == worker.worker_id


async def test_questions_put_together_show_together(record: Record):
    task = await asking_two(record)
    assert {question.key for question in task.input_requests} == {"name", "colour"}
    assert task.revision == 3


async def test_the_last_answer_resumes_the_task(record: Record):
    task = await asking_two(record)
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    partly = await record.task(task.id)
    assert partly.status is TaskStatus.INPUT_REQUIRED
    assert [question.key for question in partly.input_requests] == ["colour"]
    assert partly.revision == task.revision + 1
    await record.requests.answer(OWNER, task.id, {"colour": accept("blue")})
    whole = await record.task(task.id)
    assert (whole.status, whole.input_requests) == (TaskStatus.WORKING, ())
    assert await record.worker().responses(task.id) == {"name": accept("Ada"), "colour": accept("blue")}


async def test_a_held_task_stays_with_its_worker(record: Record):
    task = await asking_two(record)
    jobs = await record.announced()
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada"), "colour": accept("blue")})
    after = await record.task(task.id)
    assert (after.lease_worker, after.attempt) == ("worker-1", task.attempt)
    assert (await record.row(task.id))["next_dispatch_at"] is None
    assert await record.announced() == jobs


async def test_a_parked_task_is_announced_when_the_last_answer_comes(record: Record):
    task = await asking_two(record)
    assert await record.worker().park(held(task))
    for key, value, waits in (("name", "Ada", True), ("colour", "blue", False)):
        assert f"{task.id}:1" not in await record.announced()
        await record.requests.answer(OWNER, task.id, {key: accept(value)})
        assert ((await record.row(task.id))["next_dispatch_at"] is None) is waits
    assert f"{task.id}:1" in await record.announced()
    resumed = await claim(record.worker("worker-2"), await record.task(task.id))
    assert (resumed.attempt, resumed.retries_used) == (1, 0)
    assert (await ask(record.worker("worker-2"), resumed)).response == accept("Ada")


async def test_parking_comes_too_late_after_the_answer(record: Record):
    task = await asking_two(record)
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada"), "colour": accept("blue")})
    assert not await record.worker().park(held(task))


NONSENSE: list[Any] = [
    None,
    7,
    "yes",
    [],
    {},
    {"ignored": True},
    {"action": "perhaps"},
    {"action": "accept"},
    {"action": "accept", "content": {}},
    {"action": "accept", "content": {"name": 7}},
]


async def test_unknown_keys_are_ignored_whatever_their_values(record: Record):
    task = await asking_two(record)
    for value in NONSENSE:
        await record.requests.answer(OWNER, task.id, {"unknown": value, "\0": value, "": value})
    assert await record.task(task.id) == task


async def test_an_invalid_value_leaves_everything_outstanding(record: Record):
    task = await asking_two(record)
    before = await record.rows("input_request", task.id)
    for value in NONSENSE:
        answers = {"name": accept("Ada"), "colour": value, "unknown": 1}
        with pytest.raises(InvalidAnswer, match="colour"):
            await record.requests.answer(OWNER, task.id, answers)
    assert await record.task(task.id) == task
    assert await record.rows("input_request", task.id) == before


async def test_a_declined_question_is_answered(record: Record):
    task = await asking_two(record)
    answers = {"name": {"action": "decline"}, "colour": {"action": "cancel"}}
    await record.requests.answer(OWNER, task.id, answers)
    assert (await record.task(task.id)).status is TaskStatus.WORKING
    assert await record.worker().responses(task.id) == answers


async def test_an_answer_counts_once(record: Record):
    task = await asking_two(record)
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    once = await record.task(task.id)
    await record.requests.answer(OWNER, task.id, {"name": accept("Grace")})
    await record.requests.answer(OWNER, task.id, {"name": None})
    assert await record.task(task.id) == once
    assert (await record.worker().responses(task.id))["name"] == accept("Ada")


async def test_a_foreign_owner_changes_nothing_and_learns_nothing(record: Record):
    task = await asking_two(record)
    await record.requests.answer("mallory", task.id, {"name": accept("Mallory"), "colour": None})
    assert await record.task(task.id) == task
    texts: set[str] = set()
    for owner, task_id in (("mallory", task.id), (OWNER, "no such task"), (OWNER, "\0")):
        for call in (
            record.service.get(owner, task_id),
            record.service.answer(owner, task_id, {"name": accept("Mallory")}),
            record.service.cancel(owner, task_id),
        ):
            with pytest.raises(TaskNotFound) as refused:
                await call
            texts.add(str(refused.value))
    assert len(texts) == 1
    assert await record.task(task.id) == task


async def test_answers_to_a_finished_task_change_nothing(record: Record):
    task = await asking_two(record)
    ended = await finish(record.worker(), task)
    assert ended.input_requests == ()
    assert await record.service.answer(OWNER, task.id, {"name": accept("Ada")}) == ended
    rows = await record.rows("input_request", task.id)
    assert [row["response"] for row in rows] == [None, None]


async def test_a_rerun_gets_its_answers_without_asking_again(record: Record):
    task = await asking_two(record)
    worker = record.worker()
    await worker.park(held(task))
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada"), "colour": accept("blue")})
    task = await claim(worker, await record.task(task.id))
    asked = await worker.ask(held(task), [Question("name", ASK_NAME), Question("colour", COLOUR)])
    assert asked == [Asked("name", accept("Ada")), Asked("colour", accept("blue"))]
    assert (await record.task(task.id)).status is TaskStatus.WORKING


async def test_keys_are_never_reused(record: Record):
    """A rerun that asks something else must not be taken for what was asked under the same name before."""
    worker = record.worker()
    task = await claim(worker, await record.create())
    assert (await ask(worker, task)).key == "name"
    assert (await ask(worker, task, request=asking("Really?"))).key == "name.2"
    assert [question.key for question in (await record.task(task.id)).input_requests] == ["name.2"]
    await record.requests.answer(OWNER, task.id, {"name": accept("to the withdrawn one")})
    assert (await record.task(task.id)).status is TaskStatus.INPUT_REQUIRED
    await record.requests.answer(OWNER, task.id, {"name.2": accept("Ada")})
    assert (await ask(worker, task)).key == "name.3"
    assert (await ask(worker, task, request=asking("Really?"))).response == accept("Ada")
    assert (await ask(worker, task, "name.2", COLOUR)).key == "name.2.2"
    keys = [row["key"] for row in await record.rows("input_request", task.id)]
    assert len(keys) == len(set(keys)) == 4


async def test_the_same_question_twice_is_one_question(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    first, second = await ask(worker, task), await ask(worker, task)
    assert first == second
    assert len(await record.rows("input_request", task.id)) == 1
