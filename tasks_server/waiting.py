"""Why a task waits, in a sentence: the same for whoever asks, through whatever door.

The reason is about the surroundings, not about the task: it is no part of the record, changes no revision and no
`lastUpdatedAt`, and is made anew whenever the task is shown. A waiting task with nothing unusual has none.
"""

from __future__ import annotations

from dataclasses import replace

from tasks_server.bus import Bus
from tasks_server.catalog import Catalog
from tasks_server.task import Task, TaskStatus

REDIS_GONE = (
    "Redis, which wakes the workers, is not reachable at the moment; the task starts when it is back."
)


class Waiting:
    """What this process knows about queues and workers, applied to one task."""

    def __init__(self, catalog: Catalog, bus: Bus) -> None:
        self._catalog = catalog
        self._bus = bus

    def why(self, task: Task) -> str | None:
        """A whole sentence; None for a task that does not wait for a worker, or waits only for its turn."""
        if task.status is not TaskStatus.WORKING or task.lease_worker is not None:
            return None
        workforce = self._catalog.workforce()
        if not self._bus.connected.is_set():
            return REDIS_GONE
        if task.queue not in workforce.served:
            return nobody(task.name)
        if task.queue not in workforce.picked:
            return f"The workers that run {task.name} are connected, but take no work at the moment."
        return None

    def explained(self, task: Task) -> Task:
        """The task as it is shown: what the record says about it, and then why it waits."""
        reason = self.why(task)
        if reason is None:
            return task
        said = f"{task.status_message.rstrip('.')}. " if task.status_message else ""
        return replace(task, status_message=f"{said}{reason}")


def nobody(name: str) -> str:
    """Nobody could run this tool, prompt or resource now."""
    return f"No worker that runs {name} is connected at the moment."
