"""How severe a log message is, in the words of RFC 5424 that the protocol uses (server/utilities/logging)."""

from __future__ import annotations

from typing import Literal, get_args

LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]

LOG_LEVELS: tuple[str, ...] = get_args(LogLevel)
"""From the least severe to the most severe."""


def is_wanted(level: str, least: str | None) -> bool:
    """Whether somebody who asked for messages from `least` on is to be told; nobody who asked for none is."""
    return least is not None and level in LOG_LEVELS and LOG_LEVELS.index(level) >= LOG_LEVELS.index(least)
