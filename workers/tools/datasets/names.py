"""Names of columns."""

from __future__ import annotations

from collections.abc import Iterable


def distinct_names(names: Iterable[str]) -> list[str]:
    """The names, told apart as SQL does, ignoring case: a, A → a, A_1."""
    taken: set[str] = set()
    # Where to go on counting: from the start each time, a thousand equal names would be half a million tries.
    counted: dict[str, int] = {}
    result: list[str] = []
    for name in names:
        candidate, number = name, counted.get(name.casefold(), 0)
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{name}_{number}"
        counted[name.casefold()] = number
        taken.add(candidate.casefold())
        result.append(candidate)
    return result
