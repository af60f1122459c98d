"""The one-way switch that tells a running tool it is being stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Cancellation:
    """Set once, readable from any thread. Callbacks run in the thread that sets it."""

    def __init__(self) -> None:
        self._requested = False
        self._callbacks: list[Callable[[], object]] = []

    @property
    def requested(self) -> bool:
        return self._requested

    def on_request(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the switch is set, at once if it already is."""
        self._callbacks.append(callback)
        if self._requested:
            self._fire()

    def request(self) -> None:
        self._requested = True
        self._fire()

    def _fire(self) -> None:
        while self._callbacks:
            try:
                callback = self._callbacks.pop()
            except IndexError:  # another thread took the last one
                return
            try:
                callback()
            except Exception:
                logger.exception("a cancel callback failed")
