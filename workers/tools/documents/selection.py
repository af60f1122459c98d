"""Which parts of a document were asked for: "1-5,8,20-"."""

from __future__ import annotations

import re

from workers.errors import ToolError

RANGE = re.compile(r"^(\d+)?\s*(-|–)?\s*(\d+)?$")  # noqa: RUF001 (people paste the longer dash)


def select(pages: str, count: int, unit: str) -> list[int]:
    """The numbers in a selection like "1-5,8,20-", ascending and each once.

    Raises ToolError for anything else, and for a selection outside the document.
    """
    chosen: set[int] = set()
    for part in pages.split(","):
        match = RANGE.match(part.strip())
        if match is None or not (match[1] or match[3]):
            raise ToolError(
                f"pages: {part.strip()!r} is no {unit} number and no range. Write for example 1-5,8 or 20- for all "
                f"from {unit} 20 on."
            )
        first = int(match[1] or 1)
        last = int(match[3] or count) if match[2] else first
        if last < first and match[1] and match[3]:
            raise ToolError(f"pages: {part.strip()!r} runs backwards; write {last}-{first}.")
        if first < 1 or first > count or last < first:
            has = f"only one {unit}" if count == 1 else f"{unit}s 1 to {count}"
            raise ToolError(f"pages: {part.strip()!r} does not fit; the document has {has}.")
        chosen.update(range(first, min(last, count) + 1))
    return sorted(chosen)


def in_words(numbers: list[int]) -> str:
    """Numbers as ranges: "1-3, 7"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
