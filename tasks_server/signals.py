"""What processes tell each other over the bus.

Signals are hints. They say which task to read again, never what it looks like. The exceptions are live progress
and log lines, which belong to a request that is watching and to nobody who comes later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks_server.encoding import decode_json, encode_json


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """The record of this task has a new revision."""

    task_id: str


@dataclass(frozen=True, slots=True)
class TaskNudged:
    """A caller has answered or cancelled: the worker that runs this task must look at it."""

    task_id: str


@dataclass(frozen=True, slots=True)
class TaskProgressed:
    """Live progress of an attempt, possibly not (yet) in the record."""

    task_id: str
    progress: float
    total: float | None
    message: str | None


@dataclass(frozen=True, slots=True)
class TaskLogged:
    """A log line of a running tool. level is one of the protocol's eight (RFC 5424) names."""

    task_id: str
    level: str
    data: Any
    logger: str | None


@dataclass(frozen=True, slots=True)
class TaskNoted:
    """Log lines of this task have been committed: who tells them to a client reads them now.

    They are those behind `after`, up to `newest`; None: there may be some.
    """

    task_id: str
    after: int = 0
    newest: int | None = None


@dataclass(frozen=True, slots=True)
class VoiceTaken:
    """From now on this stream tells of the task, and every other one is silent about it.

    Nobody does for "". "?" asks whoever does to say so again.
    """

    task_id: str
    stream: str


@dataclass(frozen=True, slots=True)
class QuestionMisfit:
    """A client's answer did not fit this question, for the round-th time; whoever has put it puts it again."""

    task_id: str
    key: str
    round: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionTask:
    """A task has been handed out in this session."""

    session_id: str
    task_id: str


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A session has ended, or has another log level or other subscriptions."""

    session_id: str


@dataclass(frozen=True, slots=True)
class RequestCancelled:
    """A client wants no answer any more to a request of this session."""

    session_id: str
    request_id: str | int


@dataclass(frozen=True, slots=True)
class SessionMessage:
    """A message of a client waits for the process that holds the stream of its session: see `SessionMail`."""

    session_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class SessionMessageTaken:
    """The process that holds the stream has fetched the message."""

    message_id: str


@dataclass(frozen=True, slots=True)
class CatalogChanged:
    """A worker has published or stopped: what is offered may have changed."""


@dataclass(frozen=True, slots=True)
class ResourceUpdated:
    """The content under this URI has changed."""

    uri: str


@dataclass(frozen=True, slots=True)
class Resync:
    """Signals may have been missed: look again at everything you follow."""


Signal = (
    TaskChanged
    | TaskNudged
    | TaskProgressed
    | TaskLogged
    | TaskNoted
    | VoiceTaken
    | QuestionMisfit
    | SessionTask
    | SessionChanged
    | RequestCancelled
    | SessionMessage
    | SessionMessageTaken
    | CatalogChanged
    | ResourceUpdated
    | Resync
)

SIGNALS: tuple[type[Signal], ...] = (
    TaskChanged,
    TaskNudged,
    TaskProgressed,
    TaskLogged,
    TaskNoted,
    VoiceTaken,
    QuestionMisfit,
    SessionTask,
    SessionChanged,
    RequestCancelled,
    SessionMessage,
    SessionMessageTaken,
    CatalogChanged,
    ResourceUpdated,
    Resync,
)
_KINDS: dict[str, type[Signal]] = {kind.__name__: kind for kind in SIGNALS if kind is not Resync}


def encode_signal(signal: Signal) -> bytes:
    fields = [getattr(signal, name) for name in signal.__dataclass_fields__]
    return encode_json([type(signal).__name__, *fields])


def decode_signal(data: bytes) -> Signal | None:
    """None for what a process of another version says and this one does not understand."""
    try:
        name, *fields = decode_json(data)
        return _KINDS[name](*fields)
    except (ValueError, TypeError, KeyError):
        return None
