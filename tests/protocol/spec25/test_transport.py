"""HTTP around the messages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.spec.stack import Stack
from tests.protocol.spec25.session import Session

METHODS = ["POST", "GET", "DELETE"]


async def status_of(session: Session, method: str, **headers: str | None) -> int:
    content = b'{"jsonrpc":"2.0","id":1,"method":"ping"}' if method == "POST" else b""
    given = session.headers(Content_Type="application/json", **headers)
    async with session.http.stream(method, session.url, content=content, headers=given) as response:
        return response.status_code


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("version", ["1999-01-01", "nonsense"])
async def test_an_unsupported_version_is_refused(session: Session, method: str, version: str):
    """basic/transports#protocol-version-header: MUST be 400."""
    assert await status_of(session, method, MCP_Protocol_Version=version) == 400


async def test_without_a_version_the_session_knows_it(session: Session):
    """basic/transports#protocol-version-header: what was negotiated identifies the version."""
    assert await status_of(session, "POST", MCP_Protocol_Version=None) == 200
    body = session.calling("succeed", task={})
    response = await session.post(body, MCP_Protocol_Version=None)
    assert response.json()["result"]["task"]["status"] == "working"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_foreign_origin_is_forbidden(session: Session, method: str, origin: str):
    """basic/transports#security-warning: MUST be 403."""
    assert await status_of(session, method, Origin=origin) == 403


async def test_an_origin_on_this_machine_is_accepted(session: Session):
    """basic/transports#security-warning."""
    assert await status_of(session, "POST", Origin="http://localhost:5173") == 200


async def test_initialize_from_a_foreign_origin_is_forbidden(session: Session):
    """basic/transports#security-warning: on all incoming connections."""
    session.id = None
    body = session.message("initialize", {"protocolVersion": session.version, "capabilities": {}})
    assert (await session.post(body, Origin="https://evil.example")).status_code == 403


async def test_a_notification_is_acknowledged_without_a_body(session: Session):
    """basic/transports#sending-messages-to-the-server: 202."""
    await session.notify("notifications/roots/list_changed")
    await session.notify("notifications/progress", {"progressToken": "nobody", "progress": 1})
    await session.notify("notifications/not/known")


@pytest.mark.parametrize("outcome", [{"result": {}}, {"error": {"code": -1, "message": "no"}}])
async def test_a_response_nobody_waits_for_is_no_failure(session: Session, outcome: dict[str, Any]):
    """basic/transports#sending-messages-to-the-server: 202 without a body, or an error of HTTP."""
    response = await session.post({"jsonrpc": "2.0", "id": "nobody", **outcome})
    assert (response.status_code == 202 and not response.content) or 400 <= response.status_code < 500


async def test_a_get_is_a_stream(session: Session):
    """basic/transports#listening-for-messages-from-the-server: MUST be an event stream, or 405."""
    async with session.listen() as stream:
        assert stream.is_sse


async def test_an_empty_last_event_id_is_none_at_all(session: Session):
    """HTML, server-sent events: without an id so far the last one is the empty string."""
    async with session.listen(after="") as stream:
        assert stream.is_sse


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_other_methods_are_not_allowed(session: Session, method: str):
    """basic/transports#streamable-http."""
    assert await status_of(session, method) == 405


async def test_what_is_not_json_is_refused(session: Session):
    """basic/transports#sending-messages-to-the-server, JSON-RPC: -32700."""
    response = await session.post(b'{"jsonrpc": "2.0",')
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32700
    assert "result" not in response.json()


@pytest.mark.parametrize(
    "body",
    [
        [],
        [{"jsonrpc": "2.0", "id": 1, "method": "ping"}],
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": [1], "method": "ping"},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "method": 7},
        "ping",
    ],
)
async def test_what_is_no_single_message_is_refused(session: Session, body: Any):
    """basic/index#messages, basic/transports#sending-messages-to-the-server: one message, ids never null."""
    response = await session.post(body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32600


@pytest.mark.parametrize("request_id", [0, 7, "7", "", "ä", -1])
async def test_a_response_has_the_id_of_its_request(session: Session, request_id: str | int):
    """basic/index#responses: MUST include the same ID."""
    async with session.stream(session.message("ping", id=request_id)) as stream:
        assert (await stream.reply()).result == {}


@pytest.mark.parametrize("method", ["no/such", "server/discover", "tasks/update", "subscriptions/listen"])
async def test_an_unknown_method_is_not_found(session: Session, method: str):
    """JSON-RPC: -32601; also for what only another revision has."""
    assert (await session.request(method, {})).code == -32601


async def test_an_unknown_resource_has_a_code_of_its_own(session: Session):
    """server/resources#error-handling: -32002."""
    assert (await session.request("resources/read", {"uri": "spec://nowhere"})).code == -32002


async def test_the_same_session_may_use_all_replicas_at_once(stack: Stack, session: Session):
    """basic/transports#multiple-connections."""
    async with session.listen() as first, session.at(stack.other_url).listen() as second:
        assert first.is_sse
        assert second.is_sse
        assert (await session.call("greet", {"name": "Ada"})).text == "Hello, Ada!"
