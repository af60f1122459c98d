"""The exact instants at which a process of these tests dies, by name: each before or after one real call.

Nothing is replaced: the method does what it always does, and right before or after it the process kills itself
as `kill -9` would, with no chance to tidy up.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tasks_server.artifacts import ArtifactStore
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.requests import ClientRequests
from workers import queue_worker
from workers.runner import Runner
from workers.session import Session


@dataclass(frozen=True, slots=True)
class Instant:
    """Before or after a call of `method`; if `within` is given, only of calls that are made inside of that."""

    owner: Any
    method: str
    after: bool = False
    within: tuple[Any, str] | None = None


IN_STEP = "in a step"
PICKED_SECONDS = 2.0

OF_WORKERS: dict[str, Instant] = {
    "job picked, not claimed": Instant(Runner, "run"),
    "claim committed, not announced": Instant(Announcer, "changed_soon", within=(Claims, "claim")),
    "claimed, tool not started": Instant(Runner, "_perform"),
    "in the tool": Instant(Session, "report_progress"),
    "step done, not remembered": Instant(Claims, "remember"),
    "step remembered": Instant(Claims, "remember", after=True),
    "depositing an artifact": Instant(os, "fsync", within=(ArtifactStore, "deposit")),
    "artifact deposited, not recorded": Instant(Claims, "record_artifact"),
    "asked, not parked": Instant(Claims, "ask", after=True),
    "parked, tool not told": Instant(Claims, "park", after=True),
    "parked": Instant(Runner, "run", after=True),
    "result not committed": Instant(Claims, "finish"),
    "end committed, not announced": Instant(Announcer, "changed_soon", within=(Claims, "finish")),
    "handing back": Instant(Claims, "release"),
    "handed back, not announced": Instant(Announcer, "waiting", within=(Claims, "release")),
}

OF_SERVERS: dict[str, Instant] = {
    "submission not committed": Instant(ClientRequests, "_create_together"),
    "submission committed, not queued": Instant(
        Announcer, "waiting", within=(ClientRequests, "_create_together")
    ),
    "submission queued, not answered": Instant(ClientRequests, "_create_together", after=True),
    "answer committed, not queued": Instant(Announcer, "waiting", within=(ClientRequests, "answer")),
    "cancel committed, worker not nudged": Instant(Announcer, "nudged", within=(ClientRequests, "cancel")),
}

_dies_at: str | None = None
_inside: ContextVar[bool] = ContextVar("inside", default=False)


def die_at(name: str) -> None:
    """From now on this process dies when it comes to the instant of this name."""
    global _dies_at
    _dies_at = name
    # Nobody looks at a picked job again for so long, if its worker dies before it claims the task.
    queue_worker.HIDDEN_MS = int(PICKED_SECONDS * 1000)
    instant = {**OF_WORKERS, **OF_SERVERS}.get(name)
    if instant is None:
        assert name == IN_STEP, f"{name!r} is no instant"
        return
    if instant.within is not None:
        _wrap(*instant.within, _entering)
    _wrap(instant.owner, instant.method, functools.partial(_dying, instant=instant))


def reached(name: str) -> None:
    """For instants inside of a tool: dies here, if it is to."""
    if name == _dies_at:
        die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _wrap(owner: Any, method: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    real = getattr(owner, method)
    setattr(owner, method, functools.wraps(real)(make(real)))


def _dying(real: Callable[..., Any], *, instant: Instant) -> Callable[..., Any]:
    def is_it() -> bool:
        return instant.within is None or _inside.get()

    async def dying(*arguments: Any, **options: Any) -> Any:
        if is_it() and not instant.after:
            die()
        result = await real(*arguments, **options)
        if is_it():
            die()
        return result

    def dying_at_once(*arguments: Any) -> Any:
        if is_it():
            die()
        return real(*arguments)

    return dying if inspect.iscoroutinefunction(real) else dying_at_once


def _entering(real: Callable[..., Any]) -> Callable[..., Any]:
    async def entering(*arguments: Any, **options: Any) -> Any:
        token = _inside.set(True)
        try:
            return await real(*arguments, **options)
        finally:
            _inside.reset(token)

    return entering
