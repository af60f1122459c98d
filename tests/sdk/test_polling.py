"""Without push the record is asked, at the pace the server wants and slower and slower."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import httpx2

from tasks_server.client import SteadyHttpClient
from tests.protocol.spec.notes import Notes
from tests.sdk.agent import Agent, text_of
from tests.support.waiting import wait_until

POLL_SECONDS = 0.3
METHOD_NOT_FOUND = -32601
DEEP_POLL_COUNT = 4


class WithoutPush(SteadyHttpClient):
    """Lets no subscription through, as a server without any would; remembers when it polled."""

    polled_at: list[float] = []

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        match request.headers.get("mcp-method"):
            case "subscriptions/listen":
                error = {"code": METHOD_NOT_FOUND, "message": "Method not found"}
                body = {"jsonrpc": "2.0", "id": json.loads(request.content)["id"], "error": error}
                return httpx2.Response(404, json=body, request=request)
            case "tasks/get":
                self.polled_at.append(asyncio.get_running_loop().time())
            case _:
                pass
        return await super().send(request, **options)


async def test_a_server_that_pushes_nothing_is_polled(agent: Agent, notes: Notes) -> None:
    agent.http = WithoutPush
    WithoutPush.polled_at = []
    async with (
        agent.connected() as client,
        agent.calling(client, "hold_loudly", notes.directory) as call,
    ):
        await wait_until(
            lambda: len(WithoutPush.polled_at) >= DEEP_POLL_COUNT, describing="some polls", every=0.05
        )
        notes.leave("go")
        assert text_of(await call) == "held"
    pauses = [after - before for before, after in pairwise(WithoutPush.polled_at)]
    assert min(pauses) >= POLL_SECONDS
    assert pauses[DEEP_POLL_COUNT - 2] > POLL_SECONDS * 1.5, "nothing had changed, so it could have waited"
