"""Numbers and dates as short as a small chart needs them."""

from __future__ import annotations

import json
import math
from typing import Any

_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def short_number(value: float) -> str:
    """1234567 → "1.23M"; 0.000012 → "1.2e-5"; 42.0 → "42"."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e15 or size < 1e-3:
        digits, _, exponent = f"{value:.2e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    for unit, suffix in _SUFFIXES:
        if size >= unit * 10 or (size >= unit and unit > 1e3):
            return f"{_three_digits(value / unit)}{suffix}"
    return _three_digits(value) if size < 1000 else f"{value:,.0f}"


def short_value(value: Any) -> str:
    """Any JSON value of a profile, for people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return short_number(value)
    if isinstance(value, str):
        return value or "(empty)"
    return json.dumps(value, ensure_ascii=False)


def short_time(text: str, unit: str) -> str:
    """A bar's start as far as its unit matters: ("2024-05-01", "month") → "May 2024"."""
    date, _, clock = text.partition(" ")
    if clock.endswith("(BC)"):
        return text
    year, month, day = [*date.rsplit("-", 2), "", ""][:3]
    if unit in ("year", "decade", "century", "millennium"):
        return year
    if unit == "quarter" and month.isdigit():
        return f"{year} Q{(int(month) - 1) // 3 + 1}"
    if unit == "month" and month.isdigit():
        return f"{_MONTHS[int(month) - 1]} {year}"
    if unit in ("day", "week") and month.isdigit():
        return f"{int(day)} {_MONTHS[int(month) - 1]} {year}"
    return f"{date[5:]} {clock[: 8 if unit == 'second' else 5]}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def percent(share: float) -> str:
    """0.1234 → "12%"; what is neither nothing nor all never looks like it."""
    hundred = share * 100
    if 0 < hundred < 0.1:
        return "<0.1%"
    if 99.9 < hundred < 100:
        return ">99.9%"
    return f"{hundred:.1f}%" if 0 < hundred < 10 or 99 < hundred < 100 else f"{hundred:.0f}%"


def _three_digits(value: float) -> str:
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
