"""What waiting for a task can raise beside the SDK's MCPError, which is also how a failed task ends.

MCPError                   a JSON-RPC error, the server's or the task's
 ├── TaskNotFound          the server has no such task for this client
 └── ServerUnreachable     the server was away for too long; the task goes on without anybody waiting
TaskCancelled              the task was cancelled, so it has no result
"""

from __future__ import annotations

from mcp import MCPError
from mcp_types import CONNECTION_CLOSED


class TaskNotFound(MCPError):
    """The id is wrong, the task has expired, or it is another client's: a server does not say which."""

    def __init__(self, task_id: str, refusal: MCPError) -> None:
        super().__init__(
            refusal.code,
            f"The server has no task {task_id} for this client: it has expired, was another client's, or never was. "
            f"({refusal.message})",
            refusal.data,
        )
        self.task_id = task_id


class ServerUnreachable(MCPError):
    """Nobody answers any more. The task is not lost: attach to task_id when the server is back."""

    def __init__(self, task_id: str, reason: str) -> None:
        super().__init__(
            CONNECTION_CLOSED,
            f"The server does not answer any more ({reason}). Task {task_id} goes on; attach to it later.",
        )
        self.task_id = task_id


class TaskCancelled(Exception):
    """The task was cancelled before it had a result."""

    def __init__(self, task_id: str, message: str | None) -> None:
        super().__init__(message or "The task was cancelled.")
        self.task_id = task_id
