"""JSON objects over a stream, each preceded by its length: four bytes, big-endian."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any

Frame = dict[str, Any]

_LENGTH = struct.Struct(">I")


def encoded(frame: Frame) -> bytes:
    body = json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """None when the other side is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return json.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def receive_frame(connection: socket.socket) -> Frame | None:
    """The blocking form of `read_frame`."""
    header = _receive(connection, _LENGTH.size)
    if header is None:
        return None
    body = _receive(connection, _LENGTH.unpack(header)[0])
    return None if body is None else json.loads(body)


def _receive(connection: socket.socket, size: int) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            return None
        received += chunk
    return bytes(received)
