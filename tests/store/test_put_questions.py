"""A question lies before a client on one stream at a time, whichever replica it is on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks_server.put_questions import HELD_SECONDS, PutQuestions
from tasks_server.redis_client import connect
from tests.store.record import Record

QUESTION = "0123456789abcdef0123456789abcdef@5/name"


@pytest.fixture
def here(record: Record) -> PutQuestions:
    return PutQuestions(record.redis)


@pytest.fixture
def there(another: Record) -> PutQuestions:
    return PutQuestions(another.redis)


async def test_a_question_is_left_to_the_stream_that_has_put_it(here: PutQuestions, there: PutQuestions):
    assert await here.put(QUESTION, "first", at_once=False)
    assert not await there.put(QUESTION, "second", at_once=False)
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
