"""Event ids: where a client has got to in a stream, so that any replica can go on from there.

An id is not sealed: it says nothing that its client does not know, and whatever it names is looked up for the caller
only. It is unique within its session, and good in no other: every connection has a nonce, every event on it a number.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import orjson

from tasks_server.protocol.jsonrpc import RequestId
from tasks_server.protocol.v2025_11_25.session import session_tag

LONGEST_MARK = 8_192


class StreamKind(StrEnum):
    """`call`: a request that the server carries out; `wait`: `task_wait`, a tool that waits for another call's task;
    `result`: `tasks/result`; `standing`: the GET stream."""

    CALL = "call"
    WAIT = "wait"
    RESULT = "result"
    STANDING = "standing"


@dataclass(frozen=True, slots=True)
class Place:
    """How much of a task has been told: log lines up to an event, the highest progress, questions by their keys."""

    event: int = 0
    progress: float | None = None
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FollowMark:
    """A place in the stream that answers one request."""

    kind: StreamKind
    task_id: str
    request_id: RequestId
    progress_token: RequestId | None
    place: Place


@dataclass(frozen=True, slots=True)
class StandingMark:
    """A place in the GET stream: everything up to this time of the database has been told."""

    since_ms: int


@dataclass(slots=True)
class Numbering:
    """One connection's share of a session's event ids. stream names the connection."""

    session_id: str
    stream: str = field(default_factory=lambda: secrets.token_urlsafe(6))
    _number: int = 0

    def write(self, mark: FollowMark | StandingMark) -> str:
        self._number += 1
        match mark:
            case FollowMark(kind, task_id, request_id, token, place):
                told: list[Any] = [place.event, place.progress, list(place.asked)]
                content: list[Any] = [kind, task_id, request_id, token, told]
            case StandingMark(since_ms):
                content = [StreamKind.STANDING, since_ms]
        packed = orjson.dumps([*content, session_tag(self.session_id), self.stream, self._number])
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_mark(text: str, session_id: str) -> FollowMark | StandingMark | None:
    """None for what no server of this kind has written, or for another session."""
    if len(text) > LONGEST_MARK:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        content: Any = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None
    match content:
        case ["standing", int(since_ms), str(tag), str(), int()] if since_ms >= 0 and tag == session_tag(
            session_id
        ):
            return StandingMark(since_ms)
        case [
            "call" | "wait" | "result" as kind,
            str(task_id),
            request_id,
            token,
            told,
            str(tag),
            str(),
            int(),
        ]:
            place = _place(told)
            if (
                place is None
                or tag != session_tag(session_id)
                or not _is_id(request_id)
                or not _is_token(token)
            ):
                return None
            return FollowMark(StreamKind(kind), task_id, request_id, token, place)
        case _:
            return None


def _place(told: Any) -> Place | None:
    match told:
        case [int(event), int() | float() | None as progress, list()] if 0 <= event < 2**63:
            asked = cast("list[Any]", told[2])
            return (
                Place(event, progress, tuple(asked)) if all(isinstance(key, str) for key in asked) else None
            )
        case _:
            return None


def _is_token(value: Any) -> bool:
    return value is None or _is_id(value)


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
