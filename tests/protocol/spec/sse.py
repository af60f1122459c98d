"""The event stream format of the HTML standard ("Server-sent events", section 9.2.6), read literally."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class Event:
    """One block of lines. fields: every field that was written, also those that MCP has no use for."""

    fields: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def is_comment(self) -> bool:
        return all(name == "" for name, _ in self.fields)

    @property
    def data(self) -> str:
        return "\n".join(value for name, value in self.fields if name == "data")

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.fields}


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Blocks of lines as they are complete. An unfinished block at the end is an error."""
    event = Event()
    async for line in _lines(chunks):
        if line:
            name, _, value = line.partition(":")
            event.fields.append((name, value.removeprefix(" ")))
        elif event.fields:
            yield event
            event = Event()
    assert not event.fields, f"the stream broke off inside an event: {event.fields}"


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Ends of line are CRLF, LF and CR, and nothing else."""
    buffer = b""
    async for chunk in chunks:
        buffer += chunk
        complete, newline, rest = buffer.replace(b"\r\n", b"\n").rpartition(b"\n")
        if not newline or buffer.endswith(b"\r"):
            continue
        buffer = rest
        for line in complete.replace(b"\r", b"\n").split(b"\n"):
            yield line.decode()
    assert not buffer, f"the stream broke off inside a line: {buffer!r}"
