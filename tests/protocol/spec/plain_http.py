"""HTTP/1.1 by hand, for what an HTTP client would refuse to send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.protocol.spec.requests import Request
from tests.protocol.spec.wire import TIMEOUT_SECONDS


@dataclass(frozen=True)
class PlainResponse:
    status: int
    body: bytes


async def post_bytes(url: str, request: Request) -> PlainResponse:
    """Send the headers to the byte, on a connection of its own."""
    address = urlsplit(url)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            lines = [f"POST {address.path} HTTP/1.1".encode(), b"Host: " + address.netloc.encode()]
            lines += [name + b": " + value for name, value in request.wire_headers]
            lines += [b"Connection: close", f"Content-Length: {len(request.content)}".encode()]
            writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + request.content)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
            await writer.wait_closed()
    return PlainResponse(int(head.split(b" ")[1]), body)
