"""An HTTP/1.1 client that costs little: one connection, one request at a time, or one stream of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast
from urllib.parse import urlsplit

from benchmarks.messages import Message


class WrongAnswer(Exception):
    """The server has answered something else than what was asked for."""


class Connection:
    """Keeps its connection open between requests."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._path = urlsplit(url).path or "/"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def result(self, message: Message) -> dict[str, Any]:
        """The `result` of the answer. Raises WrongAnswer for anything else."""
        status, headers = await self._send(message)
        body = await self._body(headers)
        if headers.get("content-type", "").startswith("text/event-stream"):
            body = next(line for line in reversed(body.split(b"\n")) if line.startswith(b"data:"))[5:]
        answer: dict[str, Any] = json.loads(body) if body else {}
        if status != 200 or "result" not in answer:
            raise WrongAnswer(f"HTTP {status}: {body[:500]!r}")
        return cast("dict[str, Any]", answer["result"])

    async def events(self, message: Message) -> AsyncIterator[dict[str, Any]]:
        """The messages of a stream, until it ends."""
        status, headers = await self._send(message)
        if status != 200 or not headers.get("content-type", "").startswith("text/event-stream"):
            raise WrongAnswer(f"HTTP {status}: {await self._body(headers)!r}")
        assert self._reader is not None
        while line := await self._reader.readline():
            if line.startswith(b"data:"):
                yield json.loads(line[5:])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._reader = self._writer = None

    async def _send(self, message: Message) -> tuple[int, dict[str, str]]:
        if self._writer is None:
            host, _, port = self._host.rpartition(":")
            self._reader, self._writer = await asyncio.open_connection(host, int(port), limit=2**22)
        assert self._reader is not None
        lines = [f"POST {self._path} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(message.body)}"]
        lines += [f"{name}: {value}" for name, value in message.headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + message.body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        return int(head[0].split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def _body(self, headers: dict[str, str]) -> bytes:
        assert self._reader is not None
        if "content-length" in headers:
            return await self._reader.readexactly(int(headers["content-length"]))
        chunks: list[bytes] = []
        while size := int(await self._reader.readline(), 16):
            chunks.append(await self._reader.readexactly(size))
            await self._reader.readline()
        await self._reader.readline()
        return b"".join(chunks)
