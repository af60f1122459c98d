"""Pages in a browser: those whose origin is accepted are helped, all others are kept out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import httpx2
import pytest

from tests.protocol.spec.requests import Request, listening
from tests.protocol.spec.stack import ON_ONE_DATABASE, Stack, endpoint
from tests.protocol.spec.wire import Wire

SECURITY = "basic/transports/streamable-http#security-endpoint"
PAGE = "http://localhost:5173"
TRUSTED = "https://app.example"

ALLOW_ORIGIN = "access-control-allow-origin"
LIST = Request.of("tools/list")

pytestmark = [ON_ONE_DATABASE, pytest.mark.spec(SECURITY)]

_trusting: dict[Stack, str] = {}


async def trusting(stack: Stack, wire: Wire) -> Wire:
    """A server that accepts one origin beside those of this machine; started once."""
    if stack not in _trusting:
        _trusting[stack] = await endpoint(stack.serve(TASKS_ALLOWED_ORIGINS=f'["{TRUSTED}/"]'))
    return replace(wire, url=_trusting[stack])


def names(header: str) -> set[str]:
    return {name.strip().lower() for name in header.split(",")}


async def preflight(wire: Wire, origin: str, headers: str = "content-type", **extra: str) -> httpx2.Response:
    asked: Mapping[str, str] = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": headers,
        **extra,
    }
    return await wire.http.request("OPTIONS", wire.url, headers=asked)


async def test_a_page_may_ask_whether_it_may_send_what_the_protocol_wants(wire: Wire):
    wanted = "content-type,mcp-protocol-version,mcp-method,mcp-name,mcp-param-region"
    response = await preflight(wire, PAGE, wanted)
    assert response.status_code == 200
    assert response.headers[ALLOW_ORIGIN] == PAGE
    assert "post" in names(response.headers["access-control-allow-methods"])
    assert names(wanted) <= names(response.headers["access-control-allow-headers"])


async def test_a_page_may_read_the_answer_and_what_it_was_refused_for(wire: Wire):
    assert (await wire.post(LIST.header("Origin", PAGE))).headers[ALLOW_ORIGIN] == PAGE
    refused = await wire.post(LIST.header("Origin", PAGE).header("Mcp-Method"))
    assert (refused.status_code, refused.headers[ALLOW_ORIGIN]) == (400, PAGE)


async def test_a_page_may_read_a_stream(wire: Wire):
    async with wire.stream(listening({"toolsListChanged": True}).header("Origin", PAGE)) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers[ALLOW_ORIGIN] == PAGE


async def test_answers_to_pages_are_not_kept_for_other_pages(wire: Wire):
    assert "origin" in names((await wire.post(LIST.header("Origin", PAGE))).headers["vary"])


async def test_credentials_of_the_browser_are_not_asked_for(wire: Wire):
    assert "access-control-allow-credentials" not in (await preflight(wire, PAGE)).headers


async def test_a_foreign_page_is_kept_out(wire: Wire):
    for response in (
        await preflight(wire, TRUSTED),
        await wire.post(LIST.header("Origin", TRUSTED)),
    ):
        assert response.status_code == 403
        assert ALLOW_ORIGIN not in response.headers
        assert "TASKS_ALLOWED_ORIGINS" in response.text


async def test_an_origin_of_the_operators_choice_is_helped_too(stack: Stack, wire: Wire):
    server = await trusting(stack, wire)
    assert (await preflight(server, TRUSTED)).headers[ALLOW_ORIGIN] == TRUSTED
    assert (await server.post(LIST.header("Origin", TRUSTED))).headers[ALLOW_ORIGIN] == TRUSTED
    assert (await preflight(server, "https://other.example")).status_code == 403


async def test_a_page_of_the_internet_that_is_trusted_may_reach_into_a_private_network(
    stack: Stack, wire: Wire
):
    asked = {"Access-Control-Request-Private-Network": "true"}
    response = await preflight(await trusting(stack, wire), TRUSTED, **asked)
    assert response.headers["access-control-allow-private-network"] == "true"


async def test_an_artifact_may_be_read_by_a_page(wire: Wire):
    url = wire.url.removesuffix("/mcp") + "/artifacts/nobodys/a.txt"
    response = await wire.http.get(url, headers={"Origin": PAGE})
    assert response.headers[ALLOW_ORIGIN] == PAGE
    assert "content-disposition" in names(response.headers["access-control-expose-headers"])


async def test_a_client_that_is_no_page_hears_nothing_of_this(wire: Wire):
    assert ALLOW_ORIGIN not in (await wire.post(LIST)).headers


async def test_a_request_for_options_that_is_no_preflight_is_not_allowed(wire: Wire):
    response = await wire.http.request("OPTIONS", wire.url)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_visitor_of_the_bare_address_is_told_where_to_go(wire: Wire):
    response = await wire.http.get(wire.url.removesuffix("/mcp"))
    assert response.status_code == 200
    told = response.json()
    assert told["endpoint"] == "/mcp"
    assert "Model Context Protocol" in told["description"]
