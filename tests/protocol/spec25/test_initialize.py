"""The handshake."""

from __future__ import annotations

import httpx2
import pytest

from tests.protocol.spec.stack import Stack
from tests.protocol.spec25.conftest import Connect
from tests.protocol.spec25.session import Session
from tests.protocol.spec25.stream import Message

LATEST = "2025-11-25"


def stranger(stack: Stack, http: httpx2.AsyncClient, version: str = LATEST) -> Session:
    return Session(http=http, url=stack.url, version=version)


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26"])
async def test_a_version_that_is_served_is_agreed_to(stack: Stack, http: httpx2.AsyncClient, version: str):
    """basic/lifecycle#version-negotiation: MUST respond with the same version."""
    session = stranger(stack, http, version)
    assert (await session.initialize()).result["protocolVersion"] == version
    await session.terminate()


@pytest.mark.parametrize("version", ["1999-01-01", "2026-07-28", "2099-01-01", ""])
async def test_another_version_gets_the_latest_with_a_handshake(
    stack: Stack, http: httpx2.AsyncClient, version: str
):
    """basic/lifecycle#version-negotiation: MUST respond with another version, SHOULD be the latest.

    A later one has no `initialize`, so it cannot be what a handshake agrees on.
    """
    session = stranger(stack, http)
    assert (await session.initialize(version)).result["protocolVersion"] == LATEST
    await session.terminate()


async def test_the_server_says_who_it_is_and_what_it_can(session: Session):
    """basic/lifecycle#initialization, #capability-negotiation."""
    assert {"name", "version"} <= session.handshake["serverInfo"].keys()
    capabilities = session.handshake["capabilities"]
    assert {"tools", "prompts", "resources", "logging", "completions"} <= capabilities.keys()


async def test_tasks_are_declared_for_tool_calls(session: Session):
    """basic/utilities/tasks#server-capabilities; a server on loopback has one user, who may list."""
    tasks: Message = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
    assert session.handshake["capabilities"]["tasks"] == tasks


async def test_a_session_id_is_long_visible_ascii_and_new_each_time(connect: Connect):
    """basic/transports#session-management."""
    ids = [(await connect()).id or "" for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(len(one) >= 22 and all(0x21 <= ord(char) <= 0x7E for char in one) for one in ids)


async def test_initialized_is_acknowledged(stack: Stack, http: httpx2.AsyncClient):
    """basic/lifecycle#initialization, basic/transports#sending-messages-to-the-server: 202 without a body."""
    session = stranger(stack, http)
    await session.initialize()
    await session.notify("notifications/initialized")
    await session.terminate()


async def test_a_ping_may_come_before_initialized(stack: Stack, http: httpx2.AsyncClient):
    """basic/lifecycle#initialization, basic/utilities/ping: an empty result."""
    session = stranger(stack, http)
    await session.initialize()
    assert (await session.request("ping")).result == {}
    await session.terminate()


async def test_initialize_cannot_be_cancelled(stack: Stack, http: httpx2.AsyncClient):
    """basic/utilities/cancellation#behavior-requirements."""
    session = stranger(stack, http)
    reply = await session.initialize()
    await session.notify("notifications/cancelled", {"requestId": reply.message["id"]})
    assert (await session.request("ping")).result == {}
    await session.terminate()


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        {"protocolVersion": 7, "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}},
        {"protocolVersion": LATEST, "capabilities": [], "clientInfo": {"name": "a", "version": "1"}},
        {"protocolVersion": LATEST, "clientInfo": {"name": "a", "version": "1"}},
        {"protocolVersion": LATEST, "capabilities": {}},
        {"protocolVersion": LATEST, "capabilities": {}, "clientInfo": {"name": "a"}},
    ],
)
async def test_an_initialize_that_does_not_fit_its_schema_is_refused(
    stack: Stack, http: httpx2.AsyncClient, params: dict[str, object] | None
):
    """schema#initializerequest, JSON-RPC: -32602, and no session."""
    reply = await stranger(stack, http).request("initialize", params)
    assert reply.code == -32602
    assert "mcp-session-id" not in reply.headers
