"""MCP over plain HTTP against either of two servers: what one does not answer is sent to the other."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import httpx2

from tests.soak.memory import Memory
from tests.support.mcp_messages import INTERNAL_ERROR, request

GIVE_UP_SECONDS = 60.0
SILENCE_SECONDS = 25.0  # a stream is never silent for longer than 15
LONGEST_PAUSE_SECONDS = 1.0


class Refused(Exception):
    """A server has answered with an error that trying again would not change."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method} was refused: {error}")
        self.code: int = error.get("code", 0)


class GaveUp(Exception):
    """No server has answered for `GIVE_UP_SECONDS`."""


class Wire:
    """Requests and streams of one client. urls: of the servers, without `/mcp`."""

    def __init__(
        self, http: httpx2.AsyncClient, urls: list[str], memory: Memory, choice: random.Random
    ) -> None:
        self._http = http
        self._urls = urls
        self._memory = memory
        self._at = choice.randrange(len(urls))

    async def request(
        self, method: str, about: str | None, params: dict[str, Any], headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """The result, from whichever server answers first."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GIVE_UP_SECONDS
        sent = request(method, about, params, headers)
        for retries in itertools.count():
            answer = await self._try(f"{self._urls[self._at]}/mcp", sent)
            if "result" in answer:
                self._memory.retries[retries] += 1
                return answer["result"]
            if not _passes(answer["error"]):
                raise Refused(method, answer["error"])
            if loop.time() > deadline:
                raise GaveUp(f"{method} {about} got no answer; at last: {answer['error']}")
            self.change_server()
            await asyncio.sleep(min(0.05 * 2 ** min(retries, 8), LONGEST_PAUSE_SECONDS))
        raise AssertionError

    async def request_of(
        self, server: int, method: str, about: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        """The result as this very server gives it; raises Refused for an error."""
        answer = await self._try(f"{self._urls[server]}/mcp", request(method, about, params))
        if "error" in answer:
            raise Refused(method, answer["error"])
        return answer["result"]

    async def _try(self, url: str, sent: dict[str, Any]) -> dict[str, Any]:
        try:
            response = await self._http.post(url, **sent)
            if response.status_code >= 500:
                return {"error": {"code": INTERNAL_ERROR, "message": f"HTTP {response.status_code}"}}
            return response.json()
        except (httpx2.HTTPError, json.JSONDecodeError) as error:
            return {"error": {"code": INTERNAL_ERROR, "message": repr(error)}}

    def change_server(self) -> None:
        self._at = (self._at + 1) % len(self._urls)

    async def download(self, path: str) -> bytes:
        """A file, from whichever server answers first."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GIVE_UP_SECONDS
        while loop.time() < deadline:
            with suppress(httpx2.HTTPError):
                response = await self._http.get(f"{self._urls[self._at]}{path}")
                if response.status_code == 200:
                    return response.content
                if response.status_code < 500:
                    raise Refused(f"GET {path}", {"code": response.status_code, "message": response.text})
            self.change_server()
            await asyncio.sleep(LONGEST_PAUSE_SECONDS)
        raise GaveUp(f"GET {path} got no answer")

    async def listen(self, task_id: str) -> AsyncGenerator[dict[str, Any]]:
        """The task whenever it has changed, over one stream after the other, each from another server."""
        wanted = {"notifications": {"taskIds": [task_id]}}
        pause = 0.05
        while True:
            sent = request("subscriptions/listen", None, wanted)
            try:
                timeout = httpx2.Timeout(10, read=SILENCE_SECONDS)
                url = f"{self._urls[self._at]}/mcp"
                async with self._http.stream("POST", url, timeout=timeout, **sent) as response:
                    async for line in response.aiter_lines():
                        if not line.startswith("data:"):
                            continue
                        notification = json.loads(line.removeprefix("data:"))
                        params = notification.get("params", {})
                        match notification.get("method"):
                            case "notifications/tasks":
                                pause = 0.05
                                yield params
                            case "notifications/subscriptions/acknowledged":
                                if task_id not in params["notifications"]["taskIds"]:
                                    raise Refused("subscriptions/listen", {"message": f"no task {task_id}"})
                            case _:
                                pass
            except httpx2.HTTPError:
                pass
            self._memory.reconnections += 1
            self.change_server()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _passes(error: dict[str, Any]) -> bool:
    return error.get("code") == INTERNAL_ERROR
