"""Sessions: needed on every message, gone when they are ended, and no proof of who somebody is."""

from __future__ import annotations

import httpx2
import pytest

from tests.protocol.spec.stack import Stack
from tests.protocol.spec25.conftest import Connect
from tests.protocol.spec25.session import Session

METHODS = ["POST", "GET", "DELETE"]


async def bare(session: Session, method: str, **headers: str | None) -> httpx2.Response:
    """A ping, a listening stream or the end of the session, with other headers. A stream is not read."""
    if method == "POST":
        return await session.post(session.message("ping"), **headers)
    async with session.http.stream(method, session.url, headers=session.headers(**headers)) as response:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            await response.aread()
        return response


@pytest.mark.parametrize("method", METHODS)
async def test_a_message_without_its_session_is_refused(session: Session, method: str):
    """basic/transports#session-management: SHOULD be 400."""
    assert (await bare(session, method, MCP_Session_Id=None)).status_code == 400


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("known", ["nobody-has-this-one", "altered"])
async def test_an_unknown_session_is_not_found(session: Session, method: str, known: str):
    """basic/transports#session-management: 404, upon which a client begins anew."""
    assert session.id
    last = "A" if session.id[-1] != "A" else "B"
    unknown = session.id[:-6] + last * 6 if known == "altered" else known
    assert (await bare(session, method, MCP_Session_Id=unknown)).status_code == 404


@pytest.mark.parametrize("method", METHODS)
async def test_an_ended_session_is_not_found(stack: Stack, session: Session, method: str):
    """basic/transports#session-management: MUST be 404, whichever replica is asked."""
    assert (await session.terminate()).status_code in (200, 202, 204)
    assert (await bare(session, method)).status_code == 404
    assert (await bare(session.at(stack.other_url), method)).status_code == 404


async def test_notifications_and_responses_to_an_ended_session_are_not_found(session: Session):
    """basic/transports#session-management: requests of HTTP, whatever they carry."""
    await session.terminate()
    assert (await session.post(session.message("notifications/initialized", id=None))).status_code == 404
    assert (await session.post({"jsonrpc": "2.0", "id": 1, "result": {}})).status_code == 404


async def test_a_stream_ends_with_its_session(session: Session):
    """basic/transports#sending-messages-to-the-server: MAY terminate the stream if the session expires."""
    async with session.listen() as stream:
        await session.terminate()
        assert await stream.end() == []


async def test_a_session_goes_on_at_another_replica(stack: Stack, session: Session):
    """basic/transports#session-management: the id is all that a message carries of its session."""
    other = session.at(stack.other_url)
    assert (await other.request("ping")).result == {}
    assert (await other.call("greet", {"name": "Ada"})).text == "Hello, Ada!"


async def test_a_task_outlives_its_session(connect: Connect):
    """basic/utilities/tasks#task-isolation-and-access-control: bound to the requestor, not to the session."""
    first, second = await connect(), await connect()
    task_id = await first.create("succeed", {"text": "kept"})
    await first.terminate()
    assert (await second.fetch(task_id)).text == "kept"
