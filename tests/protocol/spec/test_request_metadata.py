"""`_meta`, protocol versions and methods: checked on every request alike."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocol.spec.requests import FORM, MCP, VERSION, Request
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.wire import Wire

META = "basic/index#meta"
VERSIONS = "basic/versioning#protocol-version-negotiation"
METHODS = "basic/transports/streamable-http#protocol-version-header"
LEGACY = "basic/versioning#backward-compatibility-with-initialization-based-versions"
STATELESS = "basic/index#statelessness"

LIST = Request.of("tools/list")
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "old", "version": "1"},
}


pytestmark = ON_ONE_DATABASE  # what is proved here is decided before any is asked

# --- _meta ---------------------------------------------------------------------------------------------------


@pytest.mark.spec(META)
@pytest.mark.parametrize(
    "request_",
    [
        LIST.member("params", ...),
        LIST.member("params", {}),
        LIST.params(_meta=None),
        LIST.params(_meta=[]),
        LIST.meta(MCP + "protocolVersion", ...),
        LIST.meta(MCP + "protocolVersion", 20260728),
        LIST.meta(MCP + "protocolVersion", None),
        LIST.meta(MCP + "clientCapabilities", ...),
        LIST.meta(MCP + "clientCapabilities", None),
        LIST.meta(MCP + "clientCapabilities", []),
    ],
    ids=lambda request: json.dumps(request.body.get("params", "no params"))[:70],
)
async def test_required_metadata_that_is_missing_or_malformed_is_refused(wire: Wire, request_: Request):
    reply = await wire.send(request_)
    assert reply.refusal == (400, -32602)


@pytest.mark.spec(META)
async def test_the_client_need_not_say_who_it_is(wire: Wire):
    assert (await wire.send(LIST.meta(MCP + "clientInfo", ...))).status == 200


@pytest.mark.spec(META)
async def test_metadata_nobody_knows_is_ignored(wire: Wire):
    request = LIST.meta("com.example/mine", {"deep": [1]}).meta("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")
    assert (await wire.send(request)).status == 200


@pytest.mark.spec(META)
async def test_metadata_is_missed_before_the_headers_are_compared(wire: Wire):
    request = LIST.meta(MCP + "clientCapabilities", ...).header("Mcp-Method", "tools/call")
    assert (await wire.send(request)).refusal == (400, -32602)


@pytest.mark.spec("server/utilities/logging#error-handling")
@pytest.mark.parametrize("level", ["loud", "INFO", 3, []])
async def test_an_unknown_log_level_is_refused(wire: Wire, level: Any):
    reply = await wire.send(LIST.meta(MCP + "logLevel", level))
    assert reply.error["code"] == -32602


@pytest.mark.spec("basic/patterns/progress#progress-flow")
@pytest.mark.parametrize("token", [1.5, True, [], {}])
async def test_a_progress_token_that_is_neither_a_string_nor_an_integer_is_refused(wire: Wire, token: Any):
    assert (await wire.send(LIST.meta("progressToken", token))).error["code"] == -32602


@pytest.mark.spec(STATELESS)
async def test_capabilities_of_an_earlier_request_are_forgotten(wire: Wire):
    asked = await wire.call("ask_on_a_page", {}, {"elicitation": {"url": {}}})
    assert asked.result["resultType"] == "input_required"
    assert (await wire.call("ask_on_a_page", {}, FORM)).refusal == (400, -32021)


# --- versions --------------------------------------------------------------------------------------------------


@pytest.mark.spec(VERSIONS)
@pytest.mark.parametrize("version", ["1900-01-01", "2025-11-25", "2999-12-31", "latest", ""])
async def test_a_version_that_is_not_served_is_answered_with_those_that_are(wire: Wire, version: str):
    reply = await wire.send(LIST.version(version))
    assert reply.refusal == (400, -32022)
    discovered = (await wire.request("server/discover")).result["supportedVersions"]
    assert reply.error["data"] == {"supported": discovered, "requested": version}


@pytest.mark.spec(VERSIONS)
async def test_every_version_that_is_offered_is_served(wire: Wire):
    offered = (await wire.send(LIST.version("1900-01-01"))).error["data"]["supported"]
    assert VERSION in offered
    assert [(await wire.send(LIST.version(version))).status for version in offered] == [200] * len(offered)


@pytest.mark.spec(METHODS)
async def test_a_mismatch_of_versions_is_told_before_an_unknown_version(wire: Wire):
    request = LIST.meta(MCP + "protocolVersion", "2999-12-31")
    assert (await wire.send(request)).refusal == (400, -32020)


@pytest.mark.spec(METHODS)
async def test_an_unknown_version_is_told_before_an_unknown_method(wire: Wire):
    request = Request.of("no/such/method").version("2999-12-31")
    assert (await wire.send(request)).refusal == (400, -32022)


# --- methods ---------------------------------------------------------------------------------------------------


@pytest.mark.spec(METHODS)
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
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        "notifications/tasks",
        "Tools/List",
        "tools",
        "",
    ],
)
async def test_a_method_that_is_not_served_is_not_found(wire: Wire, method: str):
    assert (await wire.send(Request.of(method))).refusal == (404, -32601)


@pytest.mark.spec(METHODS)
async def test_a_removed_method_needs_no_name_header_to_be_not_found(wire: Wire):
    reply = await wire.request("tasks/result", {"taskId": "some"})
    assert reply.refusal == (404, -32601)


@pytest.mark.spec(METHODS)
async def test_headers_are_compared_before_a_method_is_missed(wire: Wire):
    request = Request.of("no/such/method").header("Mcp-Method", "tools/list")
    assert (await wire.send(request)).refusal == (400, -32020)


def handshake(**params: Any) -> Request:
    """What clients of the revisions before 2026-07-28 say first; they know neither `_meta` nor our headers."""
    bare = Request.of("initialize", {**INITIALIZE, **params}).params(_meta=...)
    return bare.header("MCP-Protocol-Version").header("Mcp-Method")


@pytest.mark.spec(LEGACY)
async def test_a_legacy_handshake_begins_a_session_beside_the_stateless_requests(wire: Wire):
    response = await wire.post(handshake())
    assert response.json()["result"]["protocolVersion"] == "2025-11-25"
    assert response.headers["mcp-session-id"]


@pytest.mark.spec(LEGACY)
@pytest.mark.parametrize("version", [..., None, 20251125, []])
async def test_a_legacy_client_that_names_no_version_has_no_session(wire: Wire, version: Any):
    response = await wire.post(handshake().params(protocolVersion=version))
    assert response.json()["error"]["code"] == -32602
    assert "mcp-session-id" not in response.headers


@pytest.mark.spec(LEGACY)
async def test_a_modern_initialize_is_told_the_versions_that_are_served(wire: Wire):
    reply = await wire.send(Request.of("initialize", INITIALIZE))
    assert reply.refusal == (404, -32601)
    assert VERSION in reply.error["message"]
