"""A question lies before a client on one stream at a time, whichever replica it is on."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tasks_server.put_questions import ALIVE_SECONDS, HELD_SECONDS, PutQuestions
from tasks_server.redis_client import connect
from tests.store.record import Record
from tests.support.waiting import wait_until

QUESTION = "0123456789abcdef0123456789abcdef@5/name"


@asynccontextmanager
async def living(record: Record) -> AsyncGenerator[PutQuestions]:
    """The questions of a process that lives."""
    questions = PutQuestions(record.redis)
    saying_so = asyncio.ensure_future(questions.run())
    before = len(await processes(record))
    await wait_until(partial(more_than, record, before), describing="it has said that it lives")
    try:
        yield questions
    finally:
        saying_so.cancel()
        await asyncio.gather(saying_so, return_exceptions=True)


async def processes(record: Record) -> list[bytes]:
    redis: Any = record.redis
    return await redis.keys("tasks:asking:*")


async def more_than(record: Record, before: int) -> bool:
    return len(await processes(record)) > before


@pytest.fixture
async def here(record: Record) -> AsyncGenerator[PutQuestions]:
    async with living(record) as questions:
        yield questions


@pytest.fixture
async def there(another: Record) -> AsyncGenerator[PutQuestions]:
    async with living(another) as questions:
        yield questions


async def test_a_question_is_left_to_the_stream_that_has_put_it(here: PutQuestions, there: PutQuestions):
    assert await here.put(QUESTION, "first", at_once=False)
    assert not await there.put(QUESTION, "second", at_once=False)
    assert not await here.put(QUESTION, "third", at_once=False)
    assert await here.put(QUESTION, "first", at_once=False)
    assert await there.put(QUESTION + "2", "second", at_once=False)


async def test_a_stream_that_has_closed_leaves_its_questions_and_no_others(
    here: PutQuestions, there: PutQuestions
):
    assert await here.put(QUESTION, "first", at_once=False)
    await there.leave([QUESTION], "second")
    assert not await there.put(QUESTION, "second", at_once=False)
    await here.leave([QUESTION, "never put"], "first")
    assert await there.put(QUESTION, "second", at_once=False)


async def test_a_stream_that_goes_on_with_another_takes_its_questions(
    here: PutQuestions, there: PutQuestions
):
    assert await here.put(QUESTION, "first", at_once=False)
    assert await there.put(QUESTION, "second", at_once=True)
    assert not await here.put(QUESTION, "first", at_once=False)


async def test_who_has_died_keeps_no_questions(record: Record, there: PutQuestions):
    async with living(record) as dying:
        await dying.put(QUESTION, "first", at_once=False)
        assert not await there.put(QUESTION, "second", at_once=False)
        for name in await processes(record):
            assert 0 < await record.redis.pttl(name) <= ALIVE_SECONDS * 1000
    for name in await processes(record):
        if not name.decode().endswith(there._process):
            await record.redis.delete(name)  # as time does
    assert await there.put(QUESTION, "second", at_once=False)


async def test_a_stream_that_hangs_does_not_keep_its_questions(record: Record, here: PutQuestions):
    await here.put(QUESTION, "first", at_once=False)
    assert 0 < await record.redis.ttl("tasks:asked:" + QUESTION) <= HELD_SECONDS


async def test_without_redis_every_stream_puts_its_questions(tmp_path: Path):
    redis = connect(f"unix://{tmp_path / 'nobody.sock'}")
    questions = PutQuestions(redis)
    assert await questions.put(QUESTION, "first", at_once=False)
    assert await questions.put(QUESTION, "second", at_once=False)
    await questions.leave([QUESTION], "first")
    await redis.aclose()
