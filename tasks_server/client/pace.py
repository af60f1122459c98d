"""How long to wait before the record is asked."""

from __future__ import annotations

import math

import anyio

from tasks_server.client.messages import DetailedTask

DEFAULT_POLL_SECONDS = 1.0
SHORTEST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 15.0
GROWTH = 1.5


class Pace:
    """Never faster than the server's `pollIntervalMs`, slower when nothing changes, slowest while there is push."""

    def __init__(self, poll_interval_ms: int | None, *, ask_at_once: bool = False) -> None:
        self._interval = self._pause = DEFAULT_POLL_SECONDS
        self._revision: object = None
        self._set_interval(poll_interval_ms)
        self._heard_at = -math.inf if ask_at_once else anyio.current_time()

    def seconds_left(self, *, is_pushed: bool) -> float:
        pause = self._longest if is_pushed else self._pause
        return max(0.0, self._heard_at + pause - anyio.current_time())

    def seen(self, task: DetailedTask) -> DetailedTask:
        """A snapshot has come."""
        self._heard_at = anyio.current_time()
        revision = (task.status, task.status_message, task.last_updated_at)
        grown = self._pause * GROWTH if revision == self._revision else 0.0
        self._revision = revision
        self._set_interval(task.poll_interval_ms)
        self._pause = min(max(self._interval, grown), self._longest)
        return task

    @property
    def _longest(self) -> float:
        return max(self._interval, LONGEST_POLL_SECONDS)

    def _set_interval(self, poll_interval_ms: int | None) -> None:
        if poll_interval_ms is not None:
            self._interval = max(poll_interval_ms / 1000, SHORTEST_POLL_SECONDS)
            self._pause = max(self._pause, self._interval)
