"""Time for a worker that lives, but could not renew a lease because somebody else had locked the task."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

# The holder tries again several times a second, so this is ample.
GRACE_SECONDS = 5.0


class Grace:
    """Since when leases have run out whose holders have renewed themselves later than that, and could renew them.

    Each process remembers this for itself. It is no longer than a few seconds, because a worker may also have lost
    sight of a task that it holds.
    """

    def __init__(self) -> None:
        self._since: dict[tuple[str, int], float] = {}

    def over_for(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Those of these rows that need not wait any longer; rows: all that have run out and are not locked."""
        now = time.monotonic()
        alive = [(row.id, row.attempt) for row in rows if row.holder_is_alive]
        self._since = {key: self._since.get(key, now) for key in alive}
        return [row for row in rows if now - self._since.get((row.id, row.attempt), 0) >= GRACE_SECONDS]
