"""Durations as people read them."""

from __future__ import annotations

_UNITS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000}


def duration_in_words(milliseconds: int) -> str:
    """7200000 → "2 h", 90000 → "90 s", 50 → "0.05 s": the largest unit that leaves no fraction."""
    for unit, size in _UNITS.items():
        if milliseconds >= size and milliseconds % size == 0:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds / 1000:g} s"
