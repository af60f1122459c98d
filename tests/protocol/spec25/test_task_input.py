"""What a task needs to know is asked on the stream of whoever waits for it, once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack
from tests.protocol.spec25.answering import ASK, answer_both
from tests.protocol.spec25.conftest import Connect
from tests.protocol.spec25.official import RELATED
from tests.protocol.spec25.session import Session


async def test_a_task_that_asks_says_so_until_it_is_answered(session: Session, notes: Notes):
    """basic/utilities/tasks#input-required-status: SHOULD move there, and out again."""
    task_id = await session.create("ask_twice", notes.directory)
    await session.reached(task_id, "input_required")
    async with session.stream(session.fetching(task_id)) as stream:
        await session.accept(await stream.next(ASK), name="Ada")
        second = await stream.next(ASK)
        assert (await session.task(task_id))["status"] == "input_required"
        await session.accept(second, ok=True)
        assert (await stream.reply()).text == "Ada: True"
    assert (await session.task(task_id))["status"] == "completed"


async def test_a_task_works_on_once_it_is_answered(session: Session, notes: Notes):
    """basic/utilities/tasks#input-required-status: SHOULD transition out of `input_required`."""
    task_id = await session.create("ask_on_a_page", {})
    async with session.stream(session.fetching(task_id)) as stream:
        await session.answer(await stream.next(ASK), {"action": "accept"})
        assert (await session.task(task_id))["status"] in ("working", "completed")
        assert (await stream.reply()).text == "signed"


async def test_a_question_comes_to_who_has_been_waiting(session: Session, notes: Notes):
    """basic/utilities/tasks#input-required-status: delivered on the open `tasks/result` stream."""
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as stream:
        await answer_both(session, stream)
        assert (await stream.reply()).text == "Ada: True"


async def test_every_question_names_the_task(session: Session, notes: Notes):
    """basic/utilities/tasks#input-required-status: MUST include the related task."""
    for tool in ("ask_twice", "sample", "list_roots", "ask_on_a_page"):
        task_id = await session.create(tool, notes.directory if tool == "ask_twice" else {})
        async with session.stream(session.fetching(task_id)) as stream:
            question = await stream.next(ASK, "sampling/createMessage", "roots/list")
            assert question["params"]["_meta"][RELATED] == {"taskId": task_id}
        await session.request("tasks/cancel", {"taskId": task_id})


async def test_a_plain_call_asks_on_its_own_stream(session: Session, notes: Notes):
    """basic/transports#sending-messages-to-the-server: requests before the response, of no task."""
    async with session.stream(session.calling("ask_twice", notes.directory)) as stream:
        first = await stream.next(ASK)
        assert RELATED not in first["params"].get("_meta", {})
        await session.accept(first, name="Ada")
        await session.accept(await stream.next(ASK), ok=True)
        assert (await stream.reply()).text == "Ada: True"


async def test_a_question_waits_for_somebody_to_wait(session: Session, notes: Notes):
    """basic/utilities/tasks#input-required-status: no stream is open; the client calls `tasks/result` later."""
    task_id = await session.create("ask_twice", notes.directory)
    await session.reached(task_id, "input_required")
    async with session.stream(session.fetching(task_id)) as stream:
        await answer_both(session, stream)
        assert (await stream.reply()).text == "Ada: True"


async def test_a_question_whose_stream_was_lost_comes_again(session: Session, notes: Notes):
    """basic/utilities/tasks#retrieving-task-results: MAY disconnect at any time, and ask again."""
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as lost:
        asked = await lost.next(ASK)
    async with session.stream(session.fetching(task_id)) as stream:
        again = await stream.next(ASK)
        assert again["params"]["message"] == asked["params"]["message"]
        await session.accept(again, name="Ada")
        await session.accept(await stream.next(ASK), ok=True)
        assert (await stream.reply()).text == "Ada: True"


async def test_an_answer_after_the_stream_was_lost_counts(session: Session, notes: Notes):
    """basic/transports#sending-messages-to-the-server: every message is a POST of its own."""
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as lost:
        asked = await lost.next(ASK)
    await session.accept(asked, name="Ada")
    async with session.stream(session.fetching(task_id)) as stream:
        second = await stream.next(ASK)
        assert second["params"]["message"] == "Do you agree?"
        await session.accept(second, ok=True)
        assert (await stream.reply()).text == "Ada: True"


async def test_a_question_goes_to_one_of_those_who_wait(stack: Stack, session: Session, notes: Notes):
    """basic/transports#multiple-connections: MUST NOT broadcast the same message across multiple streams."""
    task_id = await session.create("ask_later", notes.directory)
    waiters = [session, session, session.at(stack.other_url)]
    async with AsyncExitStack() as opened:
        streams = [
            await opened.enter_async_context(waiter.stream(waiter.fetching(task_id))) for waiter in waiters
        ]
        for stream in streams:
            await stream.primed()
        notes.leave("go")
        asked = [asyncio.ensure_future(stream.next(ASK)) for stream in streams]
        first, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        await session.accept(first.pop().result(), name="Ada")
        await asyncio.gather(*asked, return_exceptions=True)  # the others have ended without one
        assert [(await stream.reply()).text for stream in streams] == ["Ada"] * 3
        assert sum(len(stream.of(ASK)) for stream in streams) == 1


async def test_a_question_that_waits_is_not_put_to_who_comes_later(session: Session, notes: Notes):
    """basic/transports#multiple-connections: MUST send each message on only one of the connected streams."""
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as first:
        question = await first.next(ASK)
        async with session.stream(session.fetching(task_id)) as second:
            await second.primed()
            await session.accept(question, name="Ada")
            other = asyncio.ensure_future(second.next(ASK))
            both = asyncio.ensure_future(first.next(ASK)), other
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            agreed = done.pop().result()
            if agreed["params"]["message"] == "Who are you?":
                agreed = await second.next(ASK)
            await session.accept(agreed, ok=True)
            await asyncio.gather(*both, return_exceptions=True)
            await first.reply()
            await second.reply()
    assert len([*first.of(ASK), *second.of(ASK)]) == 2


async def test_two_questions_at_once_have_two_ids(session: Session):
    """basic/index#requests: an ID MUST NOT be used twice; answers may come in any order."""
    task_id = await session.create("ask_together")
    async with session.stream(session.fetching(task_id)) as stream:
        both = {
            question["params"]["message"]: question for question in [await stream.next(ASK) for _ in "ab"]
        }
        assert both["Who are you?"]["id"] != both["Do you agree?"]["id"]
        await session.accept(both["Do you agree?"], ok=False)
        assert (await session.task(task_id))["status"] == "input_required"
        await session.accept(both["Who are you?"], name="Ada")
        assert (await stream.reply()).text == "Ada: False"


async def test_questions_of_several_tasks_are_told_apart(session: Session, notes: Notes):
    """basic/index#requests: unique within the session; answers go where they belong."""
    ids = [await session.create("ask_together") for _ in range(3)]
    async with AsyncExitStack() as opened:
        streams = [
            await opened.enter_async_context(session.stream(session.fetching(task_id))) for task_id in ids
        ]
        questions = [[await stream.next(ASK), await stream.next(ASK)] for stream in streams]
        assert len({question["id"] for pair in questions for question in pair}) == 6
        for number, pair in reversed(list(enumerate(questions))):
            for question in pair:
                content = (
                    {"name": f"{number}"} if question["params"]["message"] == "Who are you?" else {"ok": True}
                )
                await session.accept(question, **content)
        assert [(await stream.reply()).text for stream in streams] == ["0: True", "1: True", "2: True"]


async def test_a_question_is_answered_at_another_replica(stack: Stack, session: Session, notes: Notes):
    """basic/transports#sending-messages-to-the-server: the POST of a response names only its request."""
    other = session.at(stack.other_url)
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as stream:
        await answer_both(other, stream)
        assert (await stream.reply()).text == "Ada: True"


async def test_an_answer_counts_once(session: Session, notes: Notes):
    """basic/index#responses: one response to one request."""
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as stream:
        question = await stream.next(ASK)
        await session.accept(question, name="Ada")
        second = await stream.next(ASK)
        await session.post(
            {
                "jsonrpc": "2.0",
                "id": question["id"],
                "result": {"action": "accept", "content": {"name": "Eve"}},
            }
        )
        await session.accept(second, ok=True)
        assert (await stream.reply()).text == "Ada: True"


async def test_nobody_answers_for_another_session(session: Session, connect: Connect, notes: Notes):
    """client/elicitation#security-considerations: MUST bind elicitation requests to the client."""
    other = await connect()
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as stream:
        question = await stream.next(ASK)
        forged = {"action": "accept", "content": {"name": "Mallory"}}
        await other.post({"jsonrpc": "2.0", "id": question["id"], "result": forged})
        assert (await session.task(task_id))["status"] == "input_required"
        await session.accept(question, name="Ada")
        await session.accept(await stream.next(ASK), ok=True)
        assert (await stream.reply()).text == "Ada: True"


async def test_a_client_that_has_begun_anew_is_asked(session: Session, connect: Connect, notes: Notes):
    """basic/utilities/tasks#input-required-status: the requestor calls `tasks/result`, in whichever session."""
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as lost:
        await lost.next(ASK)
    await session.terminate()
    again = await connect()
    async with again.stream(again.fetching(task_id)) as stream:
        await answer_both(again, stream)
        assert (await stream.reply()).text == "Ada: True"
