"""Times as people read them in messages."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at: int) -> str:
    """ISO 8601 in UTC, to the second. at: milliseconds since the epoch."""
    return datetime.fromtimestamp(at // 1000, UTC).isoformat().replace("+00:00", "Z")
