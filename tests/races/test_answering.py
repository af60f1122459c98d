"""An answer that meets something else on the same task: no answer is lost, and no task waits for nothing."""

from __future__ import annotations

from tasks_server.errors import InvalidAnswer
from tasks_server.lifecycle.questions import Asked, Question
from tasks_server.task import Task, TaskStatus
from tests.store.interleaving import beside, overlap
from tests.store.record import ASK_NAME, OWNER, Record, accept, ask, asking, claim, finish, held

ANSWER = {"name": accept("Ada")}


async def held_and_asking(record: Record) -> Task:
    worker = record.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    return await record.task(task.id)


async def waits_for_a_worker(record: Record, task: Task) -> None:
    """Parked and answered: announced as a new attempt, and it finds its answer."""
    assert f"{task.id}:{task.attempt + 1}" in await record.announced()
    worker = record.worker("heir")
    again = await claim(worker, await record.task(task.id))
    assert (await ask(worker, again)).response == ANSWER["name"]


async def test_answer_then_park(record: Record, another: Record):
    task = await held_and_asking(record)
    _, parked = await overlap(
        record,
        record.requests.answer(OWNER, task.id, ANSWER),
        another,
        lambda: another.worker().park(held(task)),
    )
    assert parked is False
    after = await record.task(task.id)
    assert (after.status, after.lease_worker) == (TaskStatus.WORKING, "worker-1")
    assert await another.worker().responses(task.id) == ANSWER


async def test_park_then_answer(record: Record, another: Record):
    task = await held_and_asking(record)
    parked, _ = await overlap(
        record,
        record.worker().park(held(task)),
        another,
        lambda: another.requests.answer(OWNER, task.id, ANSWER),
    )
    assert parked is True
    await waits_for_a_worker(record, task)


async def test_answer_then_release(record: Record, another: Record):
    task = await held_and_asking(record)
    await overlap(
        record,
        record.requests.answer(OWNER, task.id, ANSWER),
        another,
        lambda: another.worker().release(held(task)),
    )
    await waits_for_a_worker(record, task)


async def test_release_then_answer(record: Record, another: Record):
    task = await held_and_asking(record)
    await overlap(
        record,
        record.worker().release(held(task)),
        another,
        lambda: another.requests.answer(OWNER, task.id, ANSWER),
    )
    await waits_for_a_worker(record, task)


async def test_answer_then_rescue(record: Record, another: Record):
    """The rescuer has seen a task that asks, and would park it; by now it does not ask any more."""
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    await ask(dead, task)
    await beside(record, record.requests.answer(OWNER, task.id, ANSWER), another, another.upkeep.rescue)
    await another.upkeep.rescue()
    after = await record.task(task.id)
    assert (after.status, after.lease_worker, after.attempt) == (TaskStatus.WORKING, None, 1)
    await waits_for_a_worker(record, task)


async def test_rescue_then_answer(record: Record, another: Record):
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    await ask(dead, task)
    await overlap(
        record, record.upkeep.rescue(), another, lambda: another.requests.answer(OWNER, task.id, ANSWER)
    )
    after = await record.task(task.id)
    assert (after.status, after.retries_used) == (TaskStatus.WORKING, 0)
    await waits_for_a_worker(record, task)


async def test_two_answers_to_one_question(record: Record, another: Record):
    task = await held_and_asking(record)
    await overlap(
        record,
        record.requests.answer(OWNER, task.id, ANSWER),
        another,
        lambda: another.requests.answer(OWNER, task.id, {"name": accept("Grace")}),
    )
    assert await record.worker().responses(task.id) == ANSWER
    assert [kind for kind, _ in await record.events(task.id)].count("answer") == 1


async def test_a_late_invalid_answer_is_ignored_like_any_late_answer(record: Record, another: Record):
    task = await held_and_asking(record)
    _, late = await overlap(
        record,
        record.requests.answer(OWNER, task.id, ANSWER),
        another,
        lambda: another.requests.answer(OWNER, task.id, {"name": None}),
    )
    assert late is None


async def test_an_invalid_answer_stands_in_nobodys_way(record: Record, another: Record):
    task = await held_and_asking(record)
    _, invalid = await overlap(
        record,
        record.worker().note(held(task), [{"level": "info", "data": 1, "logger": None}]),
        another,
        lambda: another.requests.answer(OWNER, task.id, {"name": None}),
    )
    assert isinstance(invalid, InvalidAnswer)
    await record.requests.answer(OWNER, task.id, ANSWER)
    assert (await record.task(task.id)).status is TaskStatus.WORKING


async def test_the_answers_to_two_questions_at_once(record: Record, another: Record):
    """Each sees one question left; only the second may let the task go on."""
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.ask(held(task), [Question("name", ASK_NAME), Question("colour", asking("Which colour?"))])
    await worker.park(held(task))
    await overlap(
        record,
        record.requests.answer(OWNER, task.id, ANSWER),
        another,
        lambda: another.requests.answer(OWNER, task.id, {"colour": accept("blue")}),
    )
    after = await record.task(task.id)
    assert (after.status, after.input_requests) == (TaskStatus.WORKING, ())
    await waits_for_a_worker(record, task)


async def test_another_question_during_the_answer(record: Record, another: Record):
    """The answer comes to what it took for the last question; meanwhile the tool puts one more."""
    task = await held_and_asking(record)
    worker = another.worker()
    _, asked = await overlap(
        record,
        record.requests.answer(OWNER, task.id, ANSWER),
        another,
        lambda: worker.ask(held(task), [Question("colour", asking("Which colour?"))]),
    )
    assert asked == [Asked("colour", None)]
    after = await record.task(task.id)
    assert after.status is TaskStatus.INPUT_REQUIRED
    assert [question.key for question in after.input_requests] == ["colour"]


async def test_an_answer_during_another_question(record: Record, another: Record):
    task = await held_and_asking(record)
    await overlap(
        record,
        record.worker().ask(held(task), [Question("colour", asking("Which colour?"))]),
        another,
        lambda: another.requests.answer(OWNER, task.id, ANSWER),
    )
    after = await record.task(task.id)
    assert after.status is TaskStatus.INPUT_REQUIRED
    assert [question.key for question in after.input_requests] == ["colour"]


async def test_an_answer_to_a_question_that_is_being_withdrawn(record: Record, another: Record):
    task = await held_and_asking(record)
    await overlap(
        record,
        record.worker().ask(held(task), [Question("name", asking("Really?"))]),
        another,
        lambda: another.requests.answer(OWNER, task.id, ANSWER),
    )
    after = await record.task(task.id)
    assert after.status is TaskStatus.INPUT_REQUIRED
    assert [question.key for question in after.input_requests] == ["name.2"]
    assert await record.worker().responses(task.id) == {}


async def test_answer_then_finish(record: Record, another: Record):
    """The tool has stopped waiting for the answer and comes to its end."""
    task = await held_and_asking(record)
    _, ended = await overlap(
        record,
        record.requests.answer(OWNER, task.id, ANSWER),
        another,
        lambda: finish(another.worker(), task),
    )
    assert isinstance(ended, Task)
    assert (await record.task(task.id)).status is TaskStatus.COMPLETED
