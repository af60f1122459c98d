"""How long a task may take: which limit comes first, and the sentence that says it was exceeded."""

from __future__ import annotations

from dataclasses import dataclass

from tasks_server.duration import duration_in_words
from tasks_server.task import PausedBy, Progress, Task, TaskStatus


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that a run is subject to. left_ms counts from the claim; sentence begins what is said of it."""

    left_ms: int
    sentence: str

    def exceeded(self, progress: Progress | None, message: str | None) -> str:
        """What became of a run that reached the limit, with how far it had come."""
        return f"{self.sentence}, and was stopped{_reached(progress, message)}."


def limit_of_run(task: Task, most_run_ms: int | None) -> Limit | None:
    """The limit that ends a run first, of a task that has just been claimed. most_run_ms is the operator's."""
    limits: list[Limit] = []
    if task.deadline_at is not None:
        # updated_at is the moment of the claim, by the clock that the deadline was set by.
        limits.append(Limit(max(task.deadline_at - task.updated_at, 0), _deadline_exceeded(task)))
    for limit_ms, whose in ((task.run_timeout_ms, "its"), (most_run_ms, "the operator's")):
        if limit_ms is not None:
            words = duration_in_words(limit_ms)
            sentence = f"{task.name} exceeded {whose} time limit of {words} for one attempt"
            limits.append(Limit(limit_ms, sentence))
    return min(limits, key=lambda limit: limit.left_ms, default=None)


def missed(task: Task, paused_by: str | None) -> str:
    """What to say of a task that no worker holds and whose time is up. paused_by: what keeps it from being started."""
    if task.started_at is None and task.start_by is not None:
        words = duration_in_words(task.start_by - task.created_at)
        if task.deadline_at is None or task.start_by <= task.deadline_at:
            behind = paused_by == PausedBy.BREAKER
            reason = f"it was waiting {_behind_breaker(task)}" if behind else "no worker has taken it"
            return f"{task.name} had to be started within {words} of the call, but {reason}."
    return f"{_deadline_exceeded(task)}, while it was waiting {_waiting_for(task, paused_by)}."


def _deadline_exceeded(task: Task) -> str:
    assert task.deadline_at is not None
    return f"{task.name} exceeded its deadline of {duration_in_words(task.deadline_at - task.created_at)}"


def _waiting_for(task: Task, paused_by: str | None) -> str:
    if paused_by == PausedBy.BREAKER:
        return _behind_breaker(task)
    error = None if task.last_error is None else task.last_error.rstrip(". ")
    if paused_by == PausedBy.BACKOFF:
        return f"for its next attempt. The last one failed: {error}"
    if task.status is TaskStatus.INPUT_REQUIRED:
        waiting = "for an answer to its question"
    else:
        waiting = f"for a worker to {'start' if task.started_at is None else 'go on with'} it"
    return waiting if error is None else f"{waiting}. The last error was: {error}"


def _behind_breaker(task: Task) -> str:
    """What waits there says why, with the last error of its tool."""
    return f"behind its circuit breaker: {task.status_message}"


def _reached(progress: Progress | None, message: str | None) -> str:
    if message is not None:
        return f' at "{message}"'
    if progress is None:
        return ""
    total = "" if progress.total is None else f" of {progress.total:g}"
    return f" at {progress.progress:g}{total}"
