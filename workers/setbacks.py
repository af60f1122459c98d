"""An attempt that failed for a reason that may pass: another one later, or the end of the task."""

from __future__ import annotations

from dataclasses import dataclass

from tasks_server.encoding import encode_text
from tasks_server.lifecycle.failures import Failures
from tasks_server.task import Task
from workers.errors import NotOffered, ToolError, Transient
from workers.registry import Registry
from workers.reports import recordable
from workers.result import tool_failure
from workers.retries import pause_ms, wish_ms
from workers.session import Session

USUAL_DELAY_MS = 3_000


@dataclass(frozen=True, slots=True)
class Setback:
    """error: what the tool said. wish_ms: the pause it asked for."""

    error: str
    wish_ms: int | None

    @classmethod
    def of(cls, error: Transient) -> Setback:
        return cls(recordable(str(error)), wish_ms(error.retry_after))


class Setbacks:
    """Brings setbacks into the record, by the policy of their tool."""

    def __init__(self, failures: Failures, registry: Registry) -> None:
        self._failures = failures
        self._registry = registry

    async def record(self, session: Session, setback: Setback) -> None:
        """Raises StaleTransition when the task was lost."""
        task = session.task
        if task.retries_used < task.max_retries:
            pause = pause_ms(self._first_pause_ms(task), task.retries_used, setback.wish_ms)
            await self._failures.retry(task, setback.error, pause)
        else:
            result = encode_text(tool_failure(ToolError(_last_words(task, setback.error))))
            await self._failures.give_up(task, setback.error, result, session.reports.progress)

    def _first_pause_ms(self, task: Task) -> int:
        try:
            return self._registry.tool(task.name).retry_delay_ms
        except NotOffered:  # withdrawn meanwhile
            return USUAL_DELAY_MS


def _last_words(task: Task, error: str) -> str:
    if task.retries_used == 0:
        return error
    return (
        f"{error.rstrip('. ')}. This was the last of {task.retries_used + 1} attempts; all failed for reasons"
        " that may pass, so a new call may succeed later."
    )
