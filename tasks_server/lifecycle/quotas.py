"""What one owner may have at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tasks_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Quotas:
    """window: how many waiting tasks of an owner are announced in one queue. None: no limit."""

    window: int = 200
    max_queued: int | None = None
    max_running: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.dispatch_window, settings.max_queued_per_owner, settings.max_running_per_owner)


USUAL_QUOTAS = Quotas()
"""Nothing but the window's usual size."""
