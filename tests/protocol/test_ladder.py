"""The checks before a method is looked at, and their order: basic/index "_meta", streamable-http."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.protocol.client import PREFIX, TASKS, Client
from tests.protocol.official import VERSION

VERSION_KEY = PREFIX + "protocolVersion"
CAPABILITIES_KEY = PREFIX + "clientCapabilities"


@pytest.mark.parametrize(
    ("headers", "meta", "status", "code"),
    [
        pytest.param({}, {VERSION_KEY: ...}, 400, -32602, id="no version"),
        pytest.param({}, {CAPABILITIES_KEY: ...}, 400, -32602, id="no capabilities"),
        pytest.param({}, {CAPABILITIES_KEY: []}, 400, -32602, id="capabilities of the wrong type"),
        pytest.param({}, {PREFIX + "logLevel": "loud"}, 400, -32602, id="unknown log level"),
        pytest.param({}, {"progressToken": 1.5}, 400, -32602, id="fractional progress token"),
        pytest.param({}, {PREFIX + "clientInfo": "me"}, 400, -32602, id="client info of the wrong type"),
        pytest.param({"Mcp-Method": None}, {VERSION_KEY: ...}, 400, -32602, id="meta before headers"),
        pytest.param({"MCP-Protocol-Version": None}, {}, 400, -32020, id="no version header"),
        pytest.param({"Mcp-Method": None}, {}, 400, -32020, id="no method header"),
        pytest.param({"Mcp-Method": "Tools/List"}, {}, 400, -32020, id="another method header"),
        pytest.param({"MCP-Protocol-Version": "v9"}, {}, 400, -32020, id="another version header"),
        pytest.param({}, {VERSION_KEY: "v9"}, 400, -32020, id="mismatch before version"),
        pytest.param({"MCP-Protocol-Version": "v9"}, {VERSION_KEY: "v9"}, 400, -32022, id="version"),
        pytest.param({}, {PREFIX + "clientInfo": ...}, 200, None, id="client info is optional"),
    ],
)
async def test_requests_are_refused_in_this_order(
    client: Client, headers: dict[str, str | None], meta: dict[str, Any], status: int, code: int | None
) -> None:
    answer = await client.request("tools/list", headers=headers, meta=meta)
    assert answer.status == status
    assert answer.message.get("error", {}).get("code") == code
    assert answer.message["id"]


async def test_a_version_that_is_not_served_is_told_which_ones_are(client: Client) -> None:
    answer = await client.request(
        "no/method", headers={"MCP-Protocol-Version": "1900-01-01"}, meta={VERSION_KEY: "1900-01-01"}
    )
    assert answer.error["data"] == {"supported": [VERSION], "requested": "1900-01-01"}


@pytest.mark.parametrize(
    "method",
    [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/result",
        "tasks/list",
        "no/method",
    ],
)
async def test_methods_of_other_revisions_do_not_exist(client: Client, method: str) -> None:
    answer = await client.request(method)
    assert (answer.status, answer.error["code"]) == (404, -32601)


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_task_header_may_be_missing_but_not_false(client: Client, method: str) -> None:
    client = client.declaring(TASKS)
    params: dict[str, Any] = {"taskId": "a", "inputResponses": {}}
    false = await client.request(method, params, headers={"Mcp-Name": "another"})
    assert (false.status, false.error["code"]) == (400, -32020)
    assert (await client.request(method, params, headers={"Mcp-Name": None})).error["code"] == -32602


async def test_a_parameter_that_is_mirrored_must_match_its_header(client: Client) -> None:
    params = {"name": "route", "arguments": {"region": "Zürich"}}
    matching = {"Mcp-Param-Region": "=?base64?WsO8cmljaA==?="}
    assert (await client.request("tools/call", params, headers=matching)).text == "Zürich"
    for wrong in ({}, {"Mcp-Param-Region": "Zurich"}, {"Mcp-Param-Region": "=?base64?WsO8cmljaA=?="}):
        answer = await client.request("tools/call", params, headers=wrong)
        assert (answer.status, answer.error["code"]) == (400, -32020)


@pytest.mark.parametrize(
    ("body", "code", "request_id"),
    [
        (b"{", -32700, None),
        (b"[]", -32600, None),
        (b'{"jsonrpc":"2.0","id":5,"result":{}}', -32600, 5),
        (b'{"jsonrpc":"2.0","id":null,"method":"tools/list"}', -32600, None),
    ],
)
async def test_what_is_no_request_is_refused(
    client: Client, body: bytes, code: int, request_id: int | None
) -> None:
    response = await client.post(body)
    message = response.json()
    assert (response.status_code, message["error"]["code"], message.get("id")) == (400, code, request_id)
    assert ("id" in message) == (request_id is not None)


async def test_notifications_are_accepted_without_a_body(client: Client) -> None:
    body = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    response = await client.post(body, Mcp_Method=None)
    assert (response.status_code, response.content) == (202, b"")


async def test_notifications_of_an_unknown_revision_are_refused_without_an_id(client: Client) -> None:
    response = await client.post('{"jsonrpc":"2.0","method":"m"}', MCP_Protocol_Version="v9")
    assert response.status_code == 400
    assert "id" not in response.json()


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS"])
async def test_the_endpoint_takes_post_only(client: Client, method: str) -> None:
    response = await client.http.request(method, client.url + "/mcp")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Accept", "application/json", 406),
        ("Accept", "text/html", 406),
        ("Accept", "*/*", 200),
        ("Accept", "application/*;q=0.9, TEXT/*", 200),
        ("Content-Type", "text/plain", 415),
        ("Content-Type", "application/json; charset=utf-8", 200),
        ("Host", "evil.example", 403),
        ("Host", "evil.example:8000", 403),
        ("Host", "localhost.evil.example", 403),
        ("Host", "localhost", 200),
        ("Host", "localhost:1234", 200),
        ("Host", "[::1]:1234", 200),
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", "file://localhost", 403),
        ("Origin", "http://localhost:5173", 200),
        ("Origin", "https://127.0.0.1", 200),
        ("Mcp-Session-Id", "anything", 200),
        ("Last-Event-ID", "7", 200),
    ],
)
async def test_who_asks_and_how_is_checked_first(
    client: Client, header: str, value: str, status: int
) -> None:
    answer = await client.http.post(
        client.url + "/mcp",
        content=json.dumps(request_body()),
        headers={**request_headers(), header: value},
    )
    assert answer.status_code == status
    assert "mcp-session-id" not in answer.headers


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused(client: Client, announced: bool) -> None:
    big = b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 100_000 + b'"}'

    async def chunks() -> AsyncGenerator[bytes]:
        yield big

    content = big if announced else chunks()
    response = await client.http.post(client.url + "/mcp", content=content, headers=request_headers())
    assert response.status_code == 413


def request_headers() -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "tools/list",
    }


def request_body() -> dict[str, Any]:
    meta: dict[str, Any] = {VERSION_KEY: VERSION, CAPABILITIES_KEY: {}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
