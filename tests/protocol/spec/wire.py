"""Raw requests and raw answers: nothing is put right on the way, and every message is held against the schema."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.protocol.official import check_notification, check_response
from tests.protocol.spec.requests import LISTS, MCP, TASKS, Request, calling
from tests.protocol.spec.sse import Event, events
from tests.support.waiting import wait_until

TIMEOUT_SECONDS = 10.0
FORBIDDEN_CODES = {-32002, -32042, *range(-32019, -31999), *range(-32099, -32022)}


@dataclass(frozen=True)
class Reply:
    """Everything the server had to say to one request."""

    status: int
    headers: httpx2.Headers
    message: dict[str, Any]
    notifications: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    content: bytes = b""

    @property
    def result(self) -> dict[str, Any]:
        assert "result" in self.message, self.message
        return self.message["result"]

    @property
    def error(self) -> dict[str, Any]:
        assert "error" in self.message, self.message
        return self.message["error"]

    @property
    def text(self) -> str:
        return self.result["content"][0]["text"]

    @property
    def refusal(self) -> tuple[int, int]:
        """HTTP status and error code."""
        return self.status, self.error["code"]

    def of(self, method: str) -> list[dict[str, Any]]:
        """The params of the notifications with this method."""
        return [message["params"] for message in self.notifications if message["method"] == method]


class Stream:
    """The answer to one request while it comes. Closing it before its end is hanging up."""

    def __init__(self, response: httpx2.Response, request: Request) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.events: list[Event] = []
        self.notifications: list[dict[str, Any]] = []
        self.response: dict[str, Any] | None = None
        self._request = request
        self._messages = self._read(response)

    async def next(self, method: str | None = None) -> dict[str, Any]:
        """The next notification; with a method, the next of that kind, and the others are only remembered."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            async for message in self._messages:
                if method in (None, message["method"]):
                    return message
        raise AssertionError(f"the stream ended before {method or 'a notification'} came: {self.response}")

    async def ended(self) -> dict[str, Any]:
        """Read on to the end, which must be a response."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            async for _ in self._messages:
                pass
        assert self.response is not None, f"ended without a response, after {self.notifications}"
        return self.response

    async def _read(self, response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
        method = self._request.body["method"]
        async for event in events(response.aiter_bytes()):
            self.events.append(event)
            if event.is_comment:
                continue
            message: dict[str, Any] = json.loads(event.data)
            assert self.response is None, f"after the response came {message}"
            if "method" in message:
                assert "id" not in message, f"the server sent a request: {message}"
                check_notification(message)
                self.notifications.append(message)
                yield message
            else:
                judge(message, method, self._request.id)
                self.response = message


@dataclass(frozen=True)
class Wire:
    """One HTTP client and the server it talks to."""

    http: httpx2.AsyncClient
    url: str

    async def send(self, request: Request) -> Reply:
        """The whole answer to a request, JSON or SSE."""
        async with self.stream(request) as stream:
            message = await stream.ended()
            return Reply(stream.status, stream.headers, message, stream.notifications)

    async def post(self, request: Request) -> httpx2.Response:
        """Just HTTP, for what is not answered with a message."""
        return await self.http.post(self.url, content=request.content, headers=request.wire_headers)

    async def refusal(self, request: Request) -> Reply:
        """The JSON error to something that may not even be a request."""
        response = await self.post(request)
        assert response.headers["content-type"] == "application/json", response.text
        message = response.json()
        judge(message, None, message.get("id"))
        return Reply(response.status_code, response.headers, message, content=response.content)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[Stream]:
        """The answer while it comes; leaving the block hangs up."""
        async with self.http.stream(
            "POST", self.url, content=request.content, headers=request.wire_headers
        ) as response:
            if response.headers.get("content-type") == "application/json":
                body = await response.aread()
                assert b"\n" not in body, "a JSON answer is one line"
                stream = Stream(_as_stream(response, body), request)
            else:
                assert response.headers["content-type"].startswith("text/event-stream"), response.headers
                stream = Stream(response, request)
            yield stream

    async def request(
        self, method: str, params: Mapping[str, Any] | None = None, *capabilities: Any
    ) -> Reply:
        return await self.send(Request.of(method, params, *capabilities))

    async def interrupted(self, request: Request) -> dict[str, Any]:
        """Send a request that is answered with questions; that InputRequiredResult."""
        result = (await self.send(request)).result
        assert result["resultType"] == "input_required", result
        return result

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None, *capabilities: Any) -> Reply:
        return await self.send(calling(tool, arguments, *capabilities))

    async def pages(self, method: str) -> list[dict[str, Any]]:
        """Every page of a list, as a client gets them that follows the cursors."""
        found = [(await self.request(method)).result]
        while "nextCursor" in found[-1]:
            found.append((await self.request(method, {"cursor": found[-1]["nextCursor"]})).result)
        return found

    async def items(self, method: str) -> list[dict[str, Any]]:
        """Everything that a list holds."""
        return [item for page in await self.pages(method) for item in page[LISTS[method]]]

    async def create(self, tool: str, arguments: Mapping[str, Any] | None = None, *capabilities: Any) -> str:
        """Call a tool as a task; its id."""
        result = (await self.call(tool, arguments, TASKS, *capabilities)).result
        assert result["resultType"] == "task", result
        return result["taskId"]

    async def task(self, task_id: str) -> dict[str, Any]:
        """What `tasks/get` says now."""
        return (await self.request("tasks/get", {"taskId": task_id}, TASKS)).result

    async def reached(self, task_id: str, *statuses: str) -> dict[str, Any]:
        """Poll until the task has one of these statuses; what `tasks/get` then said."""

        async def look() -> dict[str, Any] | None:
            task = await self.task(task_id)
            return task if task["status"] in statuses else None

        found = await wait_until(look, TIMEOUT_SECONDS, describing=f"task {task_id} to be {statuses}")
        assert found is not None
        return found

    async def saying(self, task_id: str, message: str) -> dict[str, Any]:
        """Poll until the task says this."""

        async def look() -> dict[str, Any] | None:
            task = await self.task(task_id)
            return task if task.get("statusMessage") == message else None

        return await wait_until(look, TIMEOUT_SECONDS, describing=f"{message!r} from {task_id}") or {}

    async def asked(self, task_id: str) -> dict[str, Any]:
        """Poll until the task needs input; its questions by key."""
        return (await self.reached(task_id, "input_required"))["inputRequests"]

    async def all_asked(self, task_id: str, count: int) -> dict[str, Any]:
        """Poll until so many questions are open at the same time."""

        async def look() -> dict[str, Any] | None:
            questions: dict[str, Any] = (await self.task(task_id)).get("inputRequests", {})
            return questions if len(questions) == count else None

        return await wait_until(look, TIMEOUT_SECONDS, describing=f"{count} questions of {task_id}") or {}

    async def asked_anew(self, task_id: str, before: Mapping[str, Any]) -> dict[str, Any]:
        """Poll until the task asks something other than `before`."""

        async def look() -> dict[str, Any] | None:
            questions: dict[str, Any] = (await self.task(task_id)).get("inputRequests", {})
            return questions if questions and questions != before else None

        return await wait_until(look, TIMEOUT_SECONDS, describing=f"the next question of {task_id}") or {}

    async def update(self, task_id: str, responses: Any) -> Reply:
        return await self.request("tasks/update", {"taskId": task_id, "inputResponses": responses}, TASKS)

    async def cancel(self, task_id: str) -> Reply:
        return await self.request("tasks/cancel", {"taskId": task_id}, TASKS)


def judge(message: dict[str, Any], method: str | None, request_id: Any) -> None:
    """Raise for a response that breaks a rule all responses obey (basic/index)."""
    if "error" in message:
        assert message["error"]["code"] not in FORBIDDEN_CODES, message
        assert "id" not in message or message["id"] is not None, "an id that could not be read is left out"
    else:
        assert "resultType" in message["result"], message
        info = message["result"]["_meta"][MCP + "serverInfo"]
        assert {"name", "version"} <= info.keys()
    if method is not None:
        check_response(message, method)
        answered = message.get("id", ...)
        assert (answered, type(answered)) == (request_id, type(request_id)), message


def _as_stream(response: httpx2.Response, body: bytes) -> httpx2.Response:
    """A JSON answer as the one event of a stream, so that both are read in the same way."""
    headers = {"content-type": "application/json", **dict(response.headers)}
    headers.pop("content-length", None)
    return httpx2.Response(response.status_code, headers=headers, content=b"data: " + body + b"\n\n")
