"""Several revisions side by side: each is asked by its own rules."""

from __future__ import annotations

from typing import Any, cast

import orjson

from tasks_server.protocol.answers import Final
from tasks_server.protocol.caller import CAPABILITIES_KEY, VERSION_KEY
from tasks_server.protocol.dialect import Call, Dialect, NameSource
from tasks_server.protocol.headers import Headers
from tasks_server.protocol.jsonrpc import Result
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.router import Router

METHOD = "things/get"


async def tell(call: Call) -> Result:
    return {"version": call.caller.protocol_version, "served": call.served}


def dialect(version: str, named_by: str) -> Dialect:
    return Dialect(version, {METHOD: tell}, {METHOD: NameSource(named_by)})


# `tell` uses none of the parts.
ROUTER = Router(cast("Parts", None), [dialect("one", "name"), dialect("two", "uri")])


async def answer(version: str, mirrored: str | None = None, **params: str) -> dict[str, Any]:
    meta: dict[str, Any] = {VERSION_KEY: version, CAPABILITIES_KEY: {}}
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": METHOD, "params": {**params, "_meta": meta}}
    headers = {"MCP-Protocol-Version": version, "Mcp-Method": METHOD}
    if mirrored is not None:
        headers["Mcp-Name"] = mirrored
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    final = await ROUTER.receive(orjson.dumps(body), "somebody", Headers(raw))
    assert isinstance(final, Final)
    return orjson.loads(final.payload)


async def test_a_request_is_answered_by_the_revision_it_names():
    assert (await answer("one", "x", name="x"))["result"]["version"] == "one"
    assert (await answer("two", "x", uri="x"))["result"]["version"] == "two"


async def test_the_name_is_looked_for_where_that_revision_has_it():
    assert (await answer("one", "x", name="other", uri="x"))["error"]["code"] == -32020
    assert (await answer("two", "x", name="x", uri="other"))["error"]["code"] == -32020


async def test_every_revision_knows_what_else_is_served():
    assert (await answer("one", "x", name="x"))["result"]["served"] == ["one", "two"]


async def test_a_revision_that_is_not_served_is_told_before_any_name_is_compared():
    assert (await answer("three", name="x"))["error"]["code"] == -32022
