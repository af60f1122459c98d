"""Idempotency keys: submitting again is finding again, whoever does it, and whenever."""

from __future__ import annotations

import asyncio

import pytest

from tasks_server.errors import IdempotencyConflict, TooManyQueued
from tasks_server.lifecycle.quotas import Quotas
from tasks_server.lifecycle.submissions import request_digest
from tasks_server.task import InputRequest, Task, TaskStatus
from tests.store.counting import traffic
from tests.store.interleaving import gate_before_commit, overlap
from tests.store.record import OWNER, Record, claim, finish, new_task, opened

QUESTION = InputRequest("confirm", '{"method":"elicitation/create","params":{}}')


async def count(record: Record) -> int:
    (row,) = await record.sql("SELECT count(*) AS n FROM task")
    return row.n


async def test_the_same_again_is_the_same_task_as_it_is_now(record: Record, another: Record):
    task = await record.create(idempotency_key="k")
    assert await another.create(idempotency_key="k") == task
    ended = await finish(record.worker(), await claim(record.worker(), task))
    again = await another.create(idempotency_key="k")
    assert (again.id, again.status) == (task.id, TaskStatus.COMPLETED)
    assert again == ended
    assert (await record.create()).id != task.id


async def test_a_key_belongs_to_its_owner(record: Record):
    tasks = [await record.create(owner=owner, idempotency_key="k") for owner in (OWNER, "other")]
    assert tasks[0].id != tasks[1].id


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"arguments": '{"source":"b.pdf"}'},
        {"answers": ((QUESTION, '{"action":"accept"}'),)},
    ],
)
async def test_another_request_under_the_key_is_refused(record: Record, changes: dict[str, object]):
    task = await record.create(idempotency_key="k")
    with pytest.raises(IdempotencyConflict, match="'k' belongs to another request"):
        await record.create(idempotency_key="k", **changes)
    assert await count(record) == 1
    assert await record.task(task.id) == task


def test_the_order_of_arguments_makes_no_other_request():
    one, two = (
        new_task(arguments=text) for text in ('{"a":{"b":1,"c":2},"d":3}', '{"d":3,"a":{"c":2,"b":1}}')
    )
    assert request_digest(one) == request_digest(two)


async def test_duplicates_in_one_commit_are_one_task(record: Record):
    with traffic(record) as seen:
        tasks = await asyncio.gather(*(record.create(idempotency_key="k") for _ in range(50)))
    assert len({task.id for task in tasks}) == 1
    assert await count(record) == 1
    assert seen.commits == 1
    assert len(await record.announced()) == 1


async def test_duplicates_at_two_servers_are_one_task(record: Record, another: Record):
    first, second = await overlap(
        record, record.create(idempotency_key="k"), another, lambda: another.create(idempotency_key="k")
    )
    assert isinstance(first, Task)
    assert first == second
    assert await count(record) == 1


async def test_many_keys_at_two_servers_do_not_block_each_other(record: Record, another: Record):
    keys = [f"key-{number}" for number in range(40)]
    submissions = [record.create(idempotency_key=key) for key in keys]
    submissions += [another.create(idempotency_key=key) for key in reversed(keys)]
    tasks = await asyncio.gather(*submissions)
    assert len({task.id for task in tasks}) == await count(record) == 40


async def test_a_conflict_fails_nobody_else(record: Record):
    await record.create(idempotency_key="k")
    results = await asyncio.gather(
        *(
            record.create(name=name, idempotency_key=key)
            for name, key in (("a", None), ("b", "k"), ("c", "l"))
        ),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Task, IdempotencyConflict, Task]
    assert await count(record) == 3


async def test_a_retry_finds_the_task_whose_answer_was_lost(record: Record, another: Record):
    with gate_before_commit(record) as gate:
        lost = asyncio.create_task(record.create(idempotency_key="k"))
        await gate.reached.wait()
        lost.cancel()
        gate.open()
    await asyncio.gather(lost, return_exceptions=True)
    again = await another.create(idempotency_key="k")
    assert await count(record) == 1
    assert again.status is TaskStatus.WORKING


async def test_answers_given_before_are_stored_once(record: Record):
    answers = ((QUESTION, '{"action":"accept","content":{}}'),)
    tasks = await asyncio.gather(
        *(record.create(idempotency_key="k", answers=answers) for _ in range(3)),
    )
    assert len({task.id for task in tasks}) == 1
    assert len(await record.rows("input_request", tasks[0].id)) == 1


async def test_a_key_is_free_again_when_its_task_is_gone(record: Record):
    ended = await record.finished(idempotency_key="k", retention_ms=0)
    fresh = await record.create(idempotency_key="k")
    assert fresh.id != ended.id
    assert fresh.status is TaskStatus.WORKING
    assert await count(record) == 1


async def test_submissions_without_a_key_are_one_statement_however_many(record: Record):
    with traffic(record) as seen:
        await asyncio.gather(*(record.create() for _ in range(10)))
    sent = [statement for statement in seen.statements if not statement.startswith("BEGIN")]
    assert len(sent) <= 2, "the first one at once, the others together"
    assert all("INSERT INTO task " in statement for statement in sent)


async def test_more_than_may_wait_is_refused_and_duplicates_are_not(record: Record):
    quotas = Quotas(window=2, max_queued=3)
    async with opened(record.database_url, record.redis_url, record.directory, quotas) as limited:
        results = await asyncio.gather(
            *(limited.create(idempotency_key=f"{number}") for number in range(5)), return_exceptions=True
        )
        assert [type(result) for result in results] == [Task] * 3 + [TooManyQueued] * 2
        refused = results[3]
        assert isinstance(refused, TooManyQueued)
        assert (refused.limit, refused.retry_after_ms) == (3, 1000)
        assert await count(record) == 3
        assert await limited.create(idempotency_key="0") == results[0]
        with pytest.raises(TooManyQueued):
            await limited.create(queue="gpu")
        assert (await limited.create(owner="other")).owner == "other"
        first = results[0]
        assert isinstance(first, Task)
        await claim(limited.worker(), first)
        await limited.create()


async def test_what_comes_twice_at_once_takes_one_place(record: Record):
    """The first goes alone, the other three together: they are two."""
    quotas = Quotas(window=2, max_queued=3)
    async with opened(record.database_url, record.redis_url, record.directory, quotas) as limited:
        _, once, again, neighbour = await asyncio.gather(
            *(limited.create(idempotency_key=key) for key in (None, "k", "k", None))
        )
        assert once == again
        assert neighbour.id != once.id
        assert await count(record) == 3
