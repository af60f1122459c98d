"""Which part of a file a request asks for (RFC 9110, sections 13 and 14): one range, or all of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from start up to end of a file of `size` bytes."""

    start: int
    end: int
    size: int

    @property
    def is_whole(self) -> bool:
        return (self.start, self.end) == (0, self.size)

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


class Unsatisfiable(Exception):
    """The range begins behind the end of the file."""


def requested_part(headers: Headers, size: int, etag: str) -> Part:
    """All of it, too, for what need not be understood: several ranges, other units, a stale `If-Range`.

    Raises Unsatisfiable.
    """
    everything = Part(0, size, size)
    wanted = _ONE_RANGE.fullmatch(headers.get("range", ""))
    if wanted is None or headers.get("if-range", etag) != etag:
        return everything
    first, last = wanted.groups()
    if first:
        if last and int(last) < int(first):
            return everything  # not a range at all
        start, end = int(first), int(last) + 1 if last else size
    elif last:
        start, end = max(size - int(last), 0), size
    else:
        return everything
    if start >= size:
        raise Unsatisfiable
    return Part(start, min(end, size), size)


def is_unchanged(headers: Headers, etag: str) -> bool:
    """Whether the client has this already (`If-None-Match`)."""
    known = headers.get("if-none-match", "")
    return known.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}
