"""Times and numbers as every revision writes them."""

from __future__ import annotations

from datetime import UTC, datetime

_EXACT = 2**53
"""Up to here a float stands for one whole number."""


def timestamp(milliseconds: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(value: float) -> int | float:
    """Whole numbers without a decimal point, as their senders wrote them."""
    return int(value) if abs(value) <= _EXACT and float(value).is_integer() else value
