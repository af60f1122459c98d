"""Every exception this project raises on purpose.

TasksError
 ├── ConfigurationError      the operator's settings cannot work
 ├── TaskNotFound            missing, expired and foreign tasks, indistinguishably
 ├── TaskUnreadable          a newer version has written the task
 ├── StaleTransition         somebody else moved the task first
 ├── InvalidAnswer           an answer does not fit the question it names
 ├── ArtifactStoreFailed     the artifact store cannot keep a file, or cannot give it
 │    ├── FileMissing        it has no such file any more
 │    └── FileDamaged        the file is not what was stored
 ├── IdempotencyConflict     another request was submitted under this idempotency key
 ├── TooManyQueued           the owner has as many tasks waiting as he may
 ├── SubscriptionRefused     a session cannot have this subscription, or no more of them
 ├── MessageUndelivered      a message did not reach the process that holds its session's stream
 ├── CommandRefused          what an operator asked for cannot be done
 └── RpcError                becomes a JSON-RPC error object as it stands
"""

from __future__ import annotations

from typing import Any

# JSON-RPC 2.0 section 5.1 and the MCP specification's basic/index "Error Codes".
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
MISSING_CLIENT_CAPABILITY = -32021
UNSUPPORTED_PROTOCOL_VERSION = -32022
# Ours: outside of what JSON-RPC and MCP reserve. It reads as HTTP's 429.
TOO_MANY_QUEUED = -31429


class TasksError(Exception):
    """Base of every deliberate error."""


class ConfigurationError(TasksError):
    """A setting is missing or contradictory; the message says which one and what to write instead."""


class TaskNotFound(TasksError):
    """The caller has no task under this id.

    One text for missing, expired and foreign ids, so that an answer never reveals that somebody else's
    task exists.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__("Task not found. It may have expired, or the id may be wrong.")
        self.task_id = task_id


class TaskUnreadable(TasksError):
    """The task is there, but a newer version has written what this one does not understand."""

    def __init__(self, task_id: str, owner: str, reason: Exception) -> None:
        super().__init__(
            f"Task {task_id} was written by a newer version of this server ({reason}). Ask again: another replica, "
            "or this one once it has been replaced, can read it."
        )
        self.task_id = task_id
        self.owner = owner


class StaleTransition(TasksError):
    """A guarded status change found the row in another state than it was promised."""

    def __init__(self, task_id: str, wanted: str) -> None:
        super().__init__(f"task {task_id} was moved by somebody else before it could become {wanted}")
        self.task_id = task_id


class InvalidAnswer(TasksError):
    """An answer's value does not fit its outstanding question; the question stays open."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"Invalid answer to {key!r}: {reason}")
        self.key = key
        self.reason = reason


class ArtifactStoreFailed(TasksError):
    """The store of artifacts is full, cut off or broken; the message is fit for clients, its cause for the log."""


class FileMissing(ArtifactStoreFailed):
    """The record knows the artifact, the store has lost its file."""

    def __init__(self) -> None:
        super().__init__("The file is missing from the artifact store.")


class FileDamaged(ArtifactStoreFailed):
    """The file has another size or another checksum than when it was stored."""

    def __init__(self) -> None:
        super().__init__("The file in the artifact store is damaged: it is not what was stored.")


class IdempotencyConflict(TasksError):
    """A key names one request for as long as its task is kept; this is another one."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The idempotency key {key!r} belongs to another request: same tool, arguments and answers, or a new key."
        )
        self.key = key


class TooManyQueued(TasksError):
    """The submission was refused, nothing was recorded; retry_after_ms is a guess."""

    def __init__(self, limit: int, retry_after_ms: int) -> None:
        super().__init__(
            f"Too many tasks of this owner are waiting for a worker already (the limit is {limit}). "
            "Submit again when some of them have been started."
        )
        self.limit = limit
        self.retry_after_ms = retry_after_ms


class SubscriptionRefused(TasksError):
    """A session cannot subscribe to this; the message is fit for clients."""


class MessageUndelivered(TasksError):
    """A client's message did not reach the process that holds the stream of its session; nothing came of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The message could not be passed on to the stream of its session: {reason}.")


class CommandRefused(TasksError):
    """What an operator asked for cannot be done; the message says why."""


class RpcError(TasksError):
    """A JSON-RPC error (code, message, data) that travels to the client unchanged."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_object(self) -> dict[str, Any]:
        """The wire shape; `data` is left out when there is none."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return error
