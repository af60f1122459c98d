"""The outcome of a soak as Markdown, for the terminal and for the README."""

from __future__ import annotations

import bisect
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

BEGIN = "<!-- make soak -->"
END = "<!-- /make soak -->"


def table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = ["| " + " | ".join(heads) + " |"]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def recoveries(faults: Iterable[float], completed: Iterable[float]) -> list[float]:
    """Seconds from each fault to the next task that completed."""
    moments = sorted(completed)
    after = [(fault, bisect.bisect_right(moments, fault)) for fault in faults]
    return [moments[index] - fault for fault, index in after if index < len(moments)]


def spread(seconds: list[float]) -> tuple[str, str]:
    """Median and maximum, for people."""
    if not seconds:
        return "-", "-"
    return f"{statistics.median(seconds):.2f} s", f"{max(seconds):.2f} s"


def in_words(counts: Counter[Any], order: Sequence[Any] | None = None) -> str:
    """Sorted by what is counted, unless it has an order of its own."""
    keys = [key for key in order if key in counts] if order else sorted(counts)
    return ", ".join(f"{key}: {counts[key]}" for key in keys) or "none"


def put_into(page: Path, block: str, begin: str = BEGIN, end: str = END) -> bool:
    """Replace what lies between the two markers of a page; False when it has none."""
    before, opening, rest = page.read_text().partition(begin)
    _, closing, after = rest.partition(end)
    if not opening or not closing:
        return False
    page.write_text(f"{before}{begin}\n{block}\n{end}{after}")
    return True
