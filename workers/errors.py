"""What can go wrong around a tool, as seen by its author.

ToolError           raise it: the caller gets this text as the tool's result, marked as an error
Transient           raise it when another attempt may succeed: the tool is started again after a while
Permanent           raise it when no other attempt can succeed, whatever `retry_on` says
Declined            a person declined or dismissed a question
Unanswered          nobody answered a question in time
TaskCancelled       the task is being stopped; leave the function
DeclarationError    a decorated function cannot be offered as it is written
NotOffered          no such tool, prompt or resource on this worker
ResourceNotFound    raise it in a resource template that knows no such resource
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from tasks_server.duration import duration_in_words
from tasks_server.errors import INVALID_PARAMS, RpcError


class ToolError(Exception):
    """A failure the calling model should read; the message is all it sees, so say what to do about it."""


class Transient(ToolError):
    """A failure that may be over in a while: the tool runs again from the top, until its retries are used up.

    retry_after: how long the other side wants to be left alone: seconds, or a duration like "30s".
    """

    def __init__(self, message: str, retry_after: float | str | timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Permanent(ToolError):
    """A failure that another attempt would only repeat; the caller gets the text at once."""


class Declined(ToolError):
    """A question was answered with "decline" (an explicit no) or "cancel" (dismissed without a choice).

    Left uncaught it ends the call with an error result that says so.
    """

    def __init__(self, action: Literal["decline", "cancel"], message: str) -> None:
        verb = "declined" if action == "decline" else "dismissed"
        super().__init__(f"The question was {verb}: {message}")
        self.action = action


class Unanswered(Declined):
    """Nobody answered a question within the time that was set for it. waited_ms: how long that was."""

    def __init__(self, waited_ms: int, message: str) -> None:
        super().__init__("cancel", message)
        self.args = (f"Nobody answered the question within {duration_in_words(waited_ms)}: {message}",)
        self.waited_ms = waited_ms


class TaskCancelled(BaseException):
    """Raised out of a `SyncTaskContext` call once the task is being stopped.

    A BaseException like `asyncio.CancelledError`, so that `except Exception` does not swallow it. Clean up
    and let it pass.
    """


class DeclarationError(TypeError):
    """A decorated function cannot be offered; the message names it and says what to write instead."""


class NotOffered(RpcError):
    """This worker has nothing under the name or URI that was asked for."""


class ResourceNotFound(NotOffered):
    """There is no resource under this URI (server/resources, "Error Handling")."""

    def __init__(self, uri: str) -> None:
        super().__init__(INVALID_PARAMS, f"Resource not found: {uri}", {"uri": uri})
