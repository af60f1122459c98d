"""Durations and sizes as authors write them ("30m", "24h", timedelta, "1GiB"), sizes and counts as people read them."""

from __future__ import annotations

import re
from datetime import timedelta

Duration = str | timedelta | None
Size = str | int | None

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|kB|MB|GB)")
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def milliseconds(duration: Duration) -> int | None:
    """Whole milliseconds, at least one; None stays None ("no limit"). Raises ValueError."""
    if duration is None:
        return None
    if isinstance(duration, timedelta):
        result = round(duration.total_seconds() * 1000)
    else:
        match = _DURATION.fullmatch(duration.strip())
        if match is None:
            raise ValueError(
                f"{duration!r} is not a duration; write a number and ms, s, m, h or d, like '30m'"
            )
        result = round(float(match[1]) * _MILLISECONDS[match[2]])
    if result <= 0:
        raise ValueError(f"{duration!r} is not a positive duration; write None for no limit")
    return result


def size_in_bytes(size: Size) -> int | None:
    """Whole bytes, at least one; None stays None ("no limit"). Raises ValueError."""
    if size is None:
        return None
    if isinstance(size, int):
        result = size
    else:
        match = _SIZE.fullmatch(size.strip())
        if match is None:
            raise ValueError(f"{size!r} is not a size; write a number and KiB, MiB or GiB, like '1GiB'")
        result = round(float(match[1]) * _BYTES[match[2]])
    if result <= 0:
        raise ValueError(f"{size!r} is not a positive size; write None for no limit")
    return result


def size_in_words(size: int) -> str:
    """1073741824 → "1 GiB"."""
    for unit in ("GiB", "MiB", "KiB"):
        if size >= _BYTES[unit]:
            return f"{size / _BYTES[unit]:.4g} {unit}"
    return f"{size} B"


def count_of(number: int, noun: str) -> str:
    """(1, "row") → "1 row"; (2000, "row") → "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
