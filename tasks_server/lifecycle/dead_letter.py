"""What is said of a task that has taken too many workers down with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks_server.encoding import encode_text
from tasks_server.errors import INTERNAL_ERROR
from tasks_server.lifecycle.moment import moment
from tasks_server.task import Task


@dataclass(frozen=True, slots=True)
class Loss:
    """A worker that was lost, when that was noticed, and the attempt it was busy with: 0 for the first."""

    attempt: int
    worker: str | None
    at: int


def dead_letter(task: Task, losses: Sequence[Loss]) -> tuple[str, str]:
    """The status message of a dead letter, and its outcome: a JSON-RPC error with the evidence as data.

    Both are read by people, so attempts are counted from 1.
    """
    told = "; ".join(f"attempt {loss.attempt + 1} on {loss.worker}, at {moment(loss.at)}" for loss in losses)
    workers = "a worker" if len(losses) == 1 else f"{len(losses)} workers"
    message = f"{task.name} has lost {workers} and is not started again: {told}."
    data: dict[str, Any] = {
        "crashes": [
            {"attempt": loss.attempt + 1, "worker": loss.worker, "lostAt": moment(loss.at)} for loss in losses
        ],
    }
    if task.last_error is not None:
        data["earlierError"] = task.last_error
    return message, encode_text({"code": INTERNAL_ERROR, "message": message, "data": data})
