"""How much one process takes on at the same moment; what comes on top of it is sent away at once.

Requests that wait in a process wait for the same database and the same core. Beyond what they can do in a moment more
of them only make all of them late, and hold memory; a client that is told to come back may reach another replica.
"""

from __future__ import annotations

RETRY_AFTER_SECONDS = 1
BODIES = 8
"""Room for so many of the largest bodies at a time."""


class Overloaded(Exception):
    """This process is busy with as much as it takes."""


class Load:
    """What is being answered. Streams do not count once they have begun: they wait for something else."""

    def __init__(self, most_requests: int, most_bytes: int) -> None:
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self.requests = 0
        self.held_bytes = 0

    def admit(self) -> Admitted:
        """One more request. Raises Overloaded."""
        if self.requests >= self._most_requests:
            raise Overloaded
        self.requests += 1
        return Admitted(self)

    def hold(self, size: int) -> None:
        if self.held_bytes + size > self._most_bytes:
            raise Overloaded
        self.held_bytes += size


class Admitted:
    """One request that is being answered, until `release`."""

    def __init__(self, load: Load) -> None:
        self._load: Load | None = load
        self._held_bytes = 0

    def hold(self, size: int) -> None:
        """So many bytes more have come of its body. Raises Overloaded."""
        if self._load is not None:
            self._load.hold(size)
            self._held_bytes += size

    def release(self) -> None:
        """It is answered, or has become a stream. Idempotent."""
        if self._load is not None:
            self._load.requests -= 1
            self._load.held_bytes -= self._held_bytes
            self._load = None
