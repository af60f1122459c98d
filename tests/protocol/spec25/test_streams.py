"""Event streams: primed, broken off, resumed, and never told what belongs to another."""

from __future__ import annotations

import httpx2
import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack
from tests.protocol.spec25.conftest import Connect
from tests.protocol.spec25.session import Session
from tests.protocol.spec25.stream import Stream

RESUMING = "notifications/message"


async def broken_off(session: Session, notes: Notes) -> Stream:
    """A call of `hold` whose connection is lost while it runs."""
    async with session.stream(session.calling("hold", notes.directory)) as stream:
        await notes.seen("started")
        await stream.primed()
    return stream


async def test_a_stream_begins_with_an_id_and_no_data(session: Session, notes: Notes):
    """basic/transports#sending-messages-to-the-server: SHOULD prime the client to reconnect."""
    stream = await broken_off(session, notes)
    assert stream.events[0].data == ""
    assert {"id", "data"} <= stream.events[0].names
    notes.leave("go")


async def test_a_stream_of_a_get_begins_with_an_id_and_no_data(session: Session):
    """basic/transports#listening-for-messages-from-the-server: the same polling behavior as for POST."""
    async with session.listen() as stream:
        await stream.primed()
        assert stream.events[0].data == ""


async def test_every_event_has_an_id_of_its_own(session: Session, notes: Notes):
    """basic/transports#resumability-and-redelivery: globally unique in the session (the client compares)."""
    notes.leave("go")
    await session.request("logging/setLevel", {"level": "debug"})
    for _ in range(2):
        async with session.stream(session.calling("report", notes.directory)) as stream:
            await stream.reply()
        resumable = [event for event in stream.events if "id" in event.names]
        assert len(resumable) == len(stream.ids) == len(set(stream.ids))


async def test_hanging_up_does_not_cancel(session: Session, notes: Notes):
    """basic/transports#sending-messages-to-the-server: SHOULD NOT be interpreted as cancelling."""
    stream = await broken_off(session, notes)
    notes.leave("go")
    async with session.listen(after=stream.ids[-1]) as resumed:
        assert (await resumed.reply()).text == "held"
    assert notes.lines("stopped") == []


async def test_a_call_is_resumed_while_it_runs(session: Session, notes: Notes):
    """basic/transports#resumability-and-redelivery: resume the stream from that point."""
    stream = await broken_off(session, notes)
    async with session.listen(after=stream.ids[-1]) as resumed:
        notes.leave("go")
        assert (await resumed.reply()).text == "held"


async def test_a_call_is_resumed_at_another_replica(stack: Stack, session: Session, notes: Notes):
    """basic/transports#resumability-and-redelivery: the event id identifies the stream."""
    stream = await broken_off(session, notes)
    notes.leave("go")
    async with session.at(stack.other_url).listen(after=stream.ids[-1]) as resumed:
        assert (await resumed.reply()).text == "held"


async def test_a_call_that_has_ended_is_resumed(session: Session, notes: Notes):
    """basic/transports#resumability-and-redelivery: replay what would have been sent, to the response."""
    stream = await broken_off(session, notes)
    notes.leave("go")
    for _ in range(2):
        async with session.listen(after=stream.ids[0]) as resumed:
            assert (await resumed.reply()).text == "held"


async def test_a_resumed_stream_can_be_resumed(session: Session, notes: Notes):
    """basic/transports#resumability-and-redelivery: always via GET, however the stream was initiated."""
    stream = await broken_off(session, notes)
    async with session.listen(after=stream.ids[-1]) as again:
        pass
    last = (stream.ids + again.ids)[-1]
    notes.leave("go")
    async with session.listen(after=last) as resumed:
        assert (await resumed.reply()).text == "held"


async def test_only_the_stream_that_broke_is_resumed(stack: Stack, session: Session, notes: Notes):
    """basic/transports#resumability-and-redelivery: MUST NOT replay what belongs to a different stream."""
    await session.request("logging/setLevel", {"level": "debug"})
    first, others = await broken_off(session, notes), Notes(stack.new_directory())
    others.leave("go")
    async with session.stream(session.calling("report", others.directory)) as second:
        await second.reply()
    notes.leave("go")
    async with session.listen(after=first.ids[-1]) as resumed:
        reply = await resumed.reply()
    assert reply.text == "held"
    assert reply.before == []


async def test_what_came_after_an_event_comes_again(session: Session, notes: Notes):
    """basic/transports#resumability-and-redelivery: what would have been sent after the last event id."""
    await session.request("logging/setLevel", {"level": "debug"})
    notes.leave("go")
    async with session.stream(session.calling("report", notes.directory)) as stream:
        await stream.next(RESUMING)
        middle = stream.ids[-1]
        await stream.reply()
    everything = [message["params"] for message in stream.of(RESUMING)]
    assert len(everything) == 8
    async with session.listen(after=stream.ids[0]) as resumed:
        assert (await resumed.reply()).of(RESUMING) == everything
    async with session.listen(after=middle) as resumed:
        assert (await resumed.reply()).of(RESUMING) == everything[1:]


async def test_a_question_that_was_missed_comes_again(session: Session, notes: Notes):
    """basic/transports#resumability-and-redelivery."""
    async with session.stream(session.calling("ask_twice", notes.directory)) as stream:
        primed = await stream.primed()
        question = await stream.next("elicitation/create")
    async with session.listen(after=primed) as resumed:
        assert await resumed.next("elicitation/create") == question
        await session.accept(question, name="Ada")
        await session.accept(await resumed.next("elicitation/create"), ok=True)
        assert (await resumed.reply()).text == "Ada: True"


async def test_a_question_that_has_arrived_does_not_come_again(session: Session, notes: Notes):
    """basic/transports#resumability-and-redelivery: only what came after the last event id."""
    async with session.stream(session.calling("ask_twice", notes.directory)) as stream:
        question = await stream.next("elicitation/create")
    async with session.listen(after=stream.ids[-1]) as resumed:
        await session.accept(question, name="Ada")
        second = await resumed.next("elicitation/create")
        assert second["params"]["message"] == "Do you agree?"
        assert second["id"] != question["id"]
        await session.accept(second, ok=True)
        assert (await resumed.reply()).text == "Ada: True"


async def test_a_listening_stream_carries_no_response(session: Session, notes: Notes):
    """basic/transports#listening-for-messages-from-the-server: MUST NOT, unless resuming."""
    async with session.listen() as listening:
        assert (await session.call("succeed")).text == "done"
        stream = await broken_off(session, notes)
        notes.leave("go")
        async with session.listen(after=stream.ids[-1]) as resumed:
            await resumed.reply()
        await session.terminate()
        await listening.end()
    assert listening.responses == []


async def test_a_message_goes_to_one_stream_only(session: Session):
    """basic/transports#multiple-connections: MUST NOT broadcast the same message."""
    changed = "notifications/resources/updated"
    await session.request("resources/subscribe", {"uri": "spec://text"})
    async with session.listen() as first, session.listen() as second:
        await first.primed()
        await second.primed()
        for _ in range(3):
            await session.call("announce", {"uri": "spec://text"})
        # A listener of another session knows that all three have been passed on.
        await session.terminate()
        both = [*await first.end(), *await second.end()]
    assert len([message for message in both if message["method"] == changed]) <= 3


async def test_a_change_is_told_to_who_listens(session: Session):
    """server/tools#list-changed-notification, server/resources#subscriptions."""
    await session.request("resources/subscribe", {"uri": "spec://text"})
    async with session.listen() as stream:
        await stream.primed()
        await session.call("toggle", {"what": "tool"})
        await stream.next("notifications/tools/list_changed")
        await session.call("toggle", {"what": "tool"})
        await session.call("announce", {"uri": "spec://text"})
        updated = await stream.next("notifications/resources/updated")
        assert updated["params"]["uri"] == "spec://text"


@pytest.mark.parametrize("last", ["nonsense", "0", "gAAAA", "\u00e4".encode()])
async def test_an_event_nobody_sent_is_no_failure(session: Session, last: str | bytes):
    """basic/transports#listening-for-messages-from-the-server: an event stream, or an error of the client's."""
    headers = httpx2.Headers(session.headers(Accept="text/event-stream"))
    raw = [*headers.raw, (b"Last-Event-ID", last.encode() if isinstance(last, str) else last)]
    async with session.http.stream("GET", session.url, headers=raw) as response:
        stream = response.headers.get("content-type", "").startswith("text/event-stream")
        assert (response.status_code == 200 and stream) or 400 <= response.status_code < 500


async def test_a_stream_of_another_session_cannot_be_resumed(
    session: Session, connect: Connect, notes: Notes
):
    """basic/transports#resumability-and-redelivery: ids are those of that session."""
    stream = await broken_off(session, notes)
    notes.leave("go")
    other = await connect()
    headers = other.headers(Accept="text/event-stream", Last_Event_ID=stream.ids[-1])
    async with other.http.stream("GET", other.url, headers=headers) as response:
        if response.status_code == 200:
            resumed = Stream(other, response)
            await other.terminate()
            await resumed.end()
            assert resumed.responses == []
        else:
            assert 400 <= response.status_code < 500
    async with session.listen(after=stream.ids[-1]) as resumed:
        assert (await resumed.reply()).text == "held"
