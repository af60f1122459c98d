"""How a run has ended: what is written into the record, if this worker has a say in it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from tasks_server.encoding import encode_text
from tasks_server.errors import INTERNAL_ERROR, RpcError
from tasks_server.task import OutcomeKind, Task
from workers.errors import Transient
from workers.reports import recordable
from workers.session import Stop
from workers.setbacks import Setback

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a task. value: the encoded result or error; None when it was cancelled."""

    kind: OutcomeKind
    value: str | None
    message: str | None = None


def outcome_of(
    work: asyncio.Task[dict[str, Any]], stopped: Stop | None, task: Task, exceeded: str
) -> Outcome | Setback | None:
    """A tool that was stopped may end in any way; only what it achieved nevertheless counts as its result.

    That holds also for a task that may have been lost: whether it has been, the fence knows.
    """
    if work.cancelled() or stopped is Stop.PARKED:
        return outcome_of_stop(stopped, task, exceeded)
    error = work.exception()
    if stopped is not None and (error is not None or work.result().get("isError")):
        return outcome_of_stop(stopped, task, exceeded)
    if error is None:
        return _result(work.result(), task)
    if isinstance(error, Transient):
        log.warning("task %s: attempt %d of %s failed: %s", task.id, task.attempt + 1, task.name, error)
        return Setback.of(error)
    if isinstance(error, RpcError):
        return failed(error.message, error)
    log.error("task %s: %s %s failed", task.id, task.method, task.name, exc_info=error)
    return failed(f"The worker failed while running {task.name}: {type(error).__name__}: {error}")


def _result(value: dict[str, Any], task: Task) -> Outcome:
    try:
        return Outcome(OutcomeKind.RESULT, encode_text(value))
    except (TypeError, ValueError) as error:
        log.exception("task %s: the result of %s is not JSON", task.id, task.name)
        return failed(f"The result of {task.name} cannot be written as JSON: {error}")


def outcome_of_stop(stopped: Stop | None, task: Task, exceeded: str) -> Outcome | None:
    """None when this worker has no say in how the task ends. exceeded: what to say of a limit."""
    match stopped:
        case Stop.CANCELLED:
            return Outcome(OutcomeKind.CANCELLED, None, "Cancelled")
        case Stop.TIMED_OUT:
            return failed(exceeded)
        case Stop.PARKED | Stop.LOST | Stop.SHUTDOWN | Stop.NO_SLOT:
            return None
        case None:
            return failed(f"{task.name} cancelled itself")


def failed(message: str, error: RpcError | None = None) -> Outcome:
    """An error that is always recordable: what the tool made of it may not be."""
    message = recordable(message)
    described = RpcError(INTERNAL_ERROR, message) if error is None else error
    try:
        encoded = encode_text(described.as_object())
    except (TypeError, ValueError):
        encoded = encode_text({"code": described.code, "message": message})
    return Outcome(OutcomeKind.RPC_ERROR, encoded, message)
