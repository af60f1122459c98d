"""When an attached call is answered with its task: hosts that know no tasks give up on a call after a minute."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tasks_server.manifest import ToolOffer
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.task_tools.output_schemas import or_still_running
from tasks_server.protocol.task_tools.readable import ToolResult, as_structured, in_words, said
from tasks_server.retention import bounded_retention_ms
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage
from tasks_server.task import Task

log = logging.getLogger(__name__)


def may_detach(parts: Parts, tool: ToolOffer) -> bool:
    """Whether a call of this tool may be answered with its task, if its client knows no tasks."""
    return parts.attached_wait_seconds is not None and tool.task_support == "optional"


@dataclass(frozen=True, slots=True)
class CallLimit:
    """How long one attached call of a tool may wait for its result."""

    parts: Parts
    owner: str
    tool: ToolOffer
    seconds: float

    async def time_is_up(self, task_id: str) -> ToolResult | None:
        """Hand the task out; the answer that names it. From then on nobody but its owner ends it.

        None if it cannot be handed out at the moment: it is just ending, or the database is away.
        """
        kept = bounded_retention_ms(self.tool.retention_ms, self.parts.max_retention_ms)
        task = await unless_away(lambda: self.parts.service.hand_out(self.owner, task_id, kept))
        if task is None or task.is_terminal:
            return None
        task = self.parts.waiting.explained(task)
        text = (
            f"{task.name} takes longer than a call can wait, so it goes on by itself as a task. {in_words(task)} "
            f"Do not call {task.name} again for this: call task_wait with the taskId {task.id} to get its result, and "
            "call it again if the task is still running then. Or go on with something else, and look with "
            "task_status."
        )
        schema = self.tool.output_schema
        fits = schema is None or or_still_running(schema) is not None
        return said(text, as_structured(task)) if fits else said(text, is_error=True)


async def unless_away(look: Callable[[], Awaitable[Task]]) -> Task | None:
    """The task; None while the database is away. What follows the task learns of it when it is back."""
    try:
        return await look()
    except DATABASE_UNAVAILABLE as error:
        if not is_outage(error):
            raise
        log.warning("A call waits on, the database is away: %s", error)
        return None


def limit_of_call(parts: Parts, owner: str, tool: ToolOffer) -> CallLimit | None:
    """None: the call waits for as long as it takes."""
    if parts.attached_wait_seconds is None or not may_detach(parts, tool):
        return None
    return CallLimit(parts, owner, tool, parts.attached_wait_seconds)
