"""What is looked at before any method is: origin, HTTP method, body, envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocol.spec.requests import Request, calling
from tests.protocol.spec.stack import MAX_REQUEST_BYTES, ON_ONE_DATABASE
from tests.protocol.spec.wire import Reply, Wire

SECURITY = "basic/transports/streamable-http#security-endpoint"
SENDING = "basic/transports/streamable-http#sending-messages"
EARLIER = "basic/transports/streamable-http#earlier-streamable-http-revisions"
REQUESTS = "basic/index#requests"
RESPONSES = "basic/index#error-responses"

LIST = Request.of("tools/list")


pytestmark = ON_ONE_DATABASE  # what is proved here is decided before any is asked


def raw(body: bytes | str) -> Request:
    return Request(body.encode() if isinstance(body, str) else body, LIST.headers)


def listed(**members: Any) -> Request:
    request = LIST
    for name, value in members.items():
        request = request.member(name, value)
    return request


# --- origin ------------------------------------------------------------------------------------------------


@pytest.mark.spec(SECURITY)
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "garbage",
    ],
)
async def test_a_foreign_origin_is_forbidden(wire: Wire, origin: str):
    assert (await wire.post(LIST.header("Origin", origin))).status_code == 403


@pytest.mark.spec(SECURITY)
async def test_a_forbidden_origin_is_answered_without_an_id(wire: Wire):
    response = await wire.post(LIST.header("Origin", "http://evil.example"))
    assert '"id"' not in response.text


@pytest.mark.spec(SECURITY)
@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:8000", "http://[::1]:9"])
async def test_an_origin_on_this_machine_is_welcome(wire: Wire, origin: str):
    assert (await wire.send(LIST.header("Origin", origin))).status == 200


@pytest.mark.spec(SECURITY)
async def test_a_host_that_was_rebound_to_us_is_refused(wire: Wire):
    response = await wire.post(LIST.header("Host", "evil.example"))
    assert 400 <= response.status_code < 500


@pytest.mark.spec(SECURITY)
async def test_the_origin_is_looked_at_before_the_http_method(wire: Wire):
    response = await wire.http.get(wire.url, headers={"Origin": "http://evil.example"})
    assert response.status_code == 403


# --- HTTP method and Accept ----------------------------------------------------------------------------------


@pytest.mark.spec(EARLIER)
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH"])
async def test_only_post_is_allowed(wire: Wire, method: str):
    response = await wire.http.request(method, wire.url, headers={"Accept": "text/event-stream"})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


@pytest.mark.spec(EARLIER)
async def test_a_session_id_is_ignored_and_none_is_made(wire: Wire):
    reply = await wire.send(LIST.header("Mcp-Session-Id", "7").header("Last-Event-ID", "7"))
    assert reply.status == 200
    assert "mcp-session-id" not in reply.headers


@pytest.mark.spec(SENDING)
@pytest.mark.parametrize("accept", ["text/html", "application/json", "text/event-stream"])
async def test_a_client_that_cannot_read_both_kinds_of_answer_is_refused(wire: Wire, accept: str):
    assert (await wire.post(LIST.header("Accept", accept))).status_code == 406


@pytest.mark.spec(SENDING)
@pytest.mark.parametrize(
    "accept", ["*/*", "text/event-stream;q=0.5, application/json;q=0.9", "APPLICATION/JSON,Text/Event-Stream"]
)
async def test_every_way_to_accept_both_kinds_of_answer_is_understood(wire: Wire, accept: str):
    assert (await wire.send(LIST.header("Accept", accept))).status == 200


@pytest.mark.spec(SENDING)
async def test_accept_is_looked_at_before_the_body(wire: Wire):
    assert (await wire.post(raw("{").header("Accept", "text/html"))).status_code == 406


@pytest.mark.spec(SENDING)
async def test_a_body_that_says_it_is_something_else_is_refused(wire: Wire):
    assert (await wire.post(LIST.header("Content-Type", "text/plain"))).status_code == 415


@pytest.mark.spec("RFC 9110 section 15.5.16")
async def test_a_body_in_a_coding_that_is_not_read_is_refused(wire: Wire):
    response = await wire.post(LIST.header("Content-Encoding", "gzip"))
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")
    assert (await wire.send(LIST.header("Content-Encoding", "identity"))).status == 200


@pytest.mark.spec(SENDING)
async def test_the_type_of_the_body_may_name_its_charset(wire: Wire):
    assert (await wire.send(LIST.header("Content-Type", "Application/JSON; charset=utf-8"))).status == 200


# --- JSON ----------------------------------------------------------------------------------------------------


@pytest.mark.spec(RESPONSES)
@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "nonsense",
        '{"jsonrpc":"2.0","id":1,"method":"tools/list"} x',
        '{"id":NaN}',
        b"\xff\xfe",
        b"\xff{}",
    ],
)
async def test_a_body_that_is_not_json_is_a_parse_error_without_an_id(wire: Wire, body: bytes | str):
    reply = await wire.refusal(raw(body))
    assert reply.refusal == (400, -32700)
    assert "id" not in reply.message


@pytest.mark.spec(RESPONSES)
async def test_bottomless_nesting_is_refused_politely(wire: Wire):
    reply = await wire.refusal(raw("[" * 100_000))
    assert reply.refusal == (400, -32700)


@pytest.mark.spec(RESPONSES)
@pytest.mark.parametrize("text", [r'"\ud800"', "1" * 400, "1e999", '"\u0000"'])
async def test_odd_but_legal_json_is_the_fault_of_the_client(wire: Wire, text: str):
    body = calling("greet", {"name": "ODD"}).content.decode().replace('"ODD"', text)
    response = await wire.post(Request(body.encode(), calling("greet").headers))
    assert response.status_code in (200, 400)
    assert response.json().get("error", {}).get("code") in (None, -32700, -32600, -32602)


@pytest.mark.spec(SENDING)
async def test_a_body_beyond_the_limit_is_refused_unread(wire: Wire):
    response = await wire.post(raw(json.dumps({"padding": "x" * MAX_REQUEST_BYTES})))
    assert response.status_code == 413


# --- the envelope --------------------------------------------------------------------------------------------


def invalid(reply: Reply) -> dict[str, Any]:
    assert reply.refusal == (400, -32600)
    return reply.message


@pytest.mark.spec(SENDING)
@pytest.mark.parametrize("body", [[], [LIST.body], "text", 17, True, None])
async def test_anything_but_one_object_is_an_invalid_request(wire: Wire, body: Any):
    assert "id" not in invalid(await wire.refusal(raw(json.dumps(body))))


@pytest.mark.spec(SENDING)
@pytest.mark.parametrize("outcome", [{"result": {}}, {"error": {"code": 1, "message": "no"}}])
async def test_a_posted_response_is_an_invalid_request(wire: Wire, outcome: dict[str, Any]):
    invalid(await wire.refusal(raw(json.dumps({"jsonrpc": "2.0", "id": 1, **outcome}))))


@pytest.mark.spec(REQUESTS)
@pytest.mark.parametrize("request_id", [None, True, 1.5, [], {}])
async def test_an_id_that_is_neither_a_string_nor_an_integer_is_refused_and_left_out(
    wire: Wire, request_id: Any
):
    assert "id" not in invalid(await wire.refusal(listed(id=request_id)))


@pytest.mark.spec(RESPONSES)
@pytest.mark.parametrize(
    "members",
    [
        {"jsonrpc": "1.0"},
        {"jsonrpc": ...},
        {"method": ...},
        {"method": 5},
        {"method": None},
        {"params": []},
        {"params": "text"},
    ],
    ids=str,
)
async def test_a_malformed_envelope_is_answered_under_its_id(wire: Wire, members: dict[str, Any]):
    assert invalid(await wire.refusal(listed(id="mine", **members)))["id"] == "mine"


@pytest.mark.spec(REQUESTS)
@pytest.mark.parametrize("request_id", ["", "1", "täsk", 0, -1, 2**53 + 1])
async def test_the_id_comes_back_as_it_was(wire: Wire, request_id: str | int):
    reply = await wire.send(listed(id=request_id))
    assert reply.message["id"] == request_id
    assert type(reply.message["id"]) is type(request_id)


# --- notifications -------------------------------------------------------------------------------------------


@pytest.mark.spec(SENDING)
@pytest.mark.parametrize(
    "method", ["notifications/cancelled", "notifications/initialized", "notifications/new"]
)
async def test_a_notification_is_accepted_without_a_body(wire: Wire, method: str):
    response = await wire.post(Request.of(method, {"requestId": 1}).member("id", ...))
    assert response.status_code == 202
    assert response.content == b""


@pytest.mark.spec(SENDING)
async def test_a_notification_needs_none_of_the_headers(wire: Wire):
    notification = Request.of("notifications/cancelled", {"requestId": 1}).member("id", ...)
    bare = notification.header("MCP-Protocol-Version").header("Mcp-Method").params(_meta=...)
    assert (await wire.post(bare)).status_code == 202


@pytest.mark.spec(SENDING)
async def test_a_notification_that_cannot_be_accepted_is_refused_without_an_id(wire: Wire):
    response = await wire.post(raw('{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}'))
    assert response.status_code == 400
    assert "id" not in response.json()
