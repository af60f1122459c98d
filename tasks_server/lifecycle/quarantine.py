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
    """A worker that was lost, when that was noticed, and the attempt it was busy with."""

    attempt: int
    worker: str | None
    at: int


def given_up(task: Task, losses: Sequence[Loss]) -> tuple[str, str]:
    """The status message of a dead letter, and its outcome: a JSON-RPC error with the evidence as data."""
    told = "; ".join(f"attempt {loss.attempt} on {loss.worker}, at {moment(loss.at)}" for loss in losses)
    workers = "a worker" if len(losses) == 1 else f"{len(losses)} workers"
    message = f"{task.name} was given up after it had lost {workers}: {told}."
    data: dict[str, Any] = {
        "crashes": [
            {"attempt": loss.attempt, "worker": loss.worker, "lostAt": moment(loss.at)} for loss in losses
        ],
    }
    if task.last_error is not None:
        data["earlierError"] = task.last_error
    return message, encode_text({"code": INTERNAL_ERROR, "message": message, "data": data})
