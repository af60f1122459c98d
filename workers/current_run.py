"""What both kinds of context know of the run they belong to, and can do without waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from workers.cancellation import Cancellation


class LiveCatalog(Protocol):
    """What the worker offers right now."""

    def add(self, function: Callable[..., Any]) -> None: ...

    def remove(self, function: Callable[..., Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """One call of an author's function. catalog is None where it cannot be changed."""

    task_id: str
    attempt: int
    cancellation: Cancellation
    catalog: LiveCatalog | None = None


class CurrentRun:
    """The part of a context that is the same for plain and for async functions."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def task_id(self) -> str:
        """The same in every attempt: use it as the idempotency key for effects outside."""
        return self._run.task_id

    @property
    def attempt(self) -> int:
        """Which run of this task this is: 0 for the first. One that resumes after a question counts too.

        Messages and logs, which people read, call that one attempt 1.
        """
        return self._run.attempt

    @property
    def cancelled(self) -> bool:
        """Whether this run is being stopped."""
        return self._run.cancellation.requested

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Call `callback` (quick, from the event loop's thread) when this run is being stopped."""
        self._run.cancellation.on_request(callback)

    def offer(self, function: Callable[..., Any]) -> None:
        """Add a decorated function to what this worker offers; `publish_catalog` tells the clients."""
        self._live_catalog().add(function)

    def withdraw(self, function: Callable[..., Any]) -> None:
        """Take a decorated function out of what this worker offers; `publish_catalog` tells the clients."""
        self._live_catalog().remove(function)

    def _live_catalog(self) -> LiveCatalog:
        if self._run.catalog is None:
            raise RuntimeError('a tool with runs_in="process" cannot change what its worker offers')
        return self._run.catalog
