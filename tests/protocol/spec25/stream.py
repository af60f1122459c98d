"""What comes back in a session: replies, and event streams while they come."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.protocol.spec.sse import Event, events
from tests.protocol.spec.wire import TIMEOUT_SECONDS
from tests.protocol.spec25.official import check_message, check_response

Message = dict[str, Any]
VERSION = "2025-11-25"


@dataclass
class Ledger:
    """What every message of one session is held against."""

    version: str = VERSION
    capabilities: Message = field(default_factory=dict[str, Any])
    sent: dict[Any, Message] = field(default_factory=dict[Any, Message])
    seen: dict[str, str] = field(default_factory=dict[str, str])

    def remember(self, event: Event, *, resumed: bool) -> None:
        """No event id may ever stand for two events (basic/transports#resumability-and-redelivery)."""
        for name, value in event.fields:
            if name == "id" and value:
                replayed = resumed and self.seen.get(value) == event.data
                assert replayed or value not in self.seen, f"event id {value} twice"
                self.seen[value] = event.data


@dataclass(frozen=True)
class Reply:
    """The answer to one request, and what came before it on its stream."""

    status: int
    headers: httpx2.Headers
    message: Message
    before: list[Message]

    @property
    def result(self) -> Message:
        assert "result" in self.message, self.message
        return self.message["result"]

    @property
    def error(self) -> Message:
        assert "error" in self.message, self.message
        return self.message["error"]

    @property
    def code(self) -> int:
        return self.error["code"]

    @property
    def text(self) -> str:
        return self.result["content"][0]["text"]

    def of(self, method: str) -> list[Message]:
        """The params of what came with this method."""
        return [message["params"] for message in self.before if message["method"] == method]


class Stream:
    """One connection of an event stream, or a JSON answer as if it were one. Closing it early is hanging up."""

    def __init__(self, ledger: Ledger, response: httpx2.Response, *, resumed: bool = False) -> None:
        self.http = response
        self.events: list[Event] = []
        self.messages: list[Message] = []
        self.responses: list[Message] = []
        self._ledger = ledger
        self._resumed = resumed
        self._unread: deque[Message] = deque()
        self._incoming = events(response.aiter_bytes()) if self.is_sse else self._json(response)

    @property
    def is_sse(self) -> bool:
        return self.http.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def ids(self) -> list[str]:
        """The event ids, as they came."""
        return [value for event in self.events for name, value in event.fields if name == "id"]

    def of(self, method: str) -> list[Message]:
        """The requests or notifications with this method that have been read so far."""
        return [message for message in self.messages if message["method"] == method]

    async def next(self, *methods: str) -> Message:
        """The next request or notification with one of these methods; the others are only remembered."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while self._unread or await self._another():
                if self._unread and (message := self._unread.popleft())["method"] in methods:
                    return message
        raise AssertionError(f"the stream ended before {methods} came: {self.responses}")

    async def primed(self) -> str:
        """Read until an event has an id; that id."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not self.ids:
                assert await self._another(), "the stream ended without an event id"
        return self.ids[0]

    async def end(self) -> list[Message]:
        """Read to the end; all requests and notifications of this connection."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while await self._another():
                pass
        return self.messages

    async def reply(self) -> Reply:
        """Read to the end, which must be one response."""
        await self.end()
        assert len(self.responses) == 1, f"ended with {self.responses}, after {self.messages}"
        return Reply(self.http.status_code, self.http.headers, self.responses[0], self.messages)

    async def _another(self) -> bool:
        """Read one event; whether there was one."""
        event = await anext(self._incoming, None)
        if event is None:
            return False
        self.events.append(event)
        self._ledger.remember(event, resumed=self._resumed)
        parsed: Message | list[Message] = json.loads(event.data) if event.data else []
        for message in parsed if isinstance(parsed, list) else [parsed]:
            self._take(message)
        return True

    def _take(self, message: Message) -> None:
        if "method" in message:
            check_message(message, self._ledger.version, self._ledger.capabilities)
            self.messages.append(message)
            self._unread.append(message)
        else:
            check_response(message, self._ledger.sent.get(message.get("id")), self._ledger.version)
            self.responses.append(message)

    async def _json(self, response: httpx2.Response) -> AsyncGenerator[Event]:
        yield Event([("data", (await response.aread()).decode())])
