"""What a client can choose about waiting for a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from mcp.shared.dispatcher import ProgressFnT

from tasks_server.client.messages import DetailedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to wait.

    on_progress: told of every new progress, as by the SDK: progress, total, message.
    on_update: shown the task whenever it has changed, first when it exists and last when it has ended.
    if_abandoned: what becomes of the task when `call_tool` is cancelled, or a question of the task is refused:
        "cancel" it, or "detach" and let it go on.
    answers: whether questions are put to the client's callbacks; if not, somebody else has to answer them.
    patience_seconds: for how long the server may answer that it cannot (its database is away), or not in time.
    """

    on_progress: ProgressFnT | None = None
    on_update: Callable[[DetailedTask], Awaitable[None]] | None = None
    if_abandoned: Literal["cancel", "detach"] = "cancel"
    answers: bool = True
    patience_seconds: float = 60.0
