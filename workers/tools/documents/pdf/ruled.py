"""Tables drawn with ruled lines: the grid the rules make, and the words in its cells."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from workers.tools.documents.pdf.page import Rule, Word

TOUCH_POINTS = 3.0
MAX_RULES = 1500
MAX_CELLS = 5000


@dataclass(slots=True)
class RuledTable:
    """rows: the words of each cell, in the file's order; a merged cell's words are in its first place."""

    x0: float
    top: float
    x1: float
    bottom: float
    rows: list[list[list[Word]]]


def find_tables(rules: Sequence[Rule], words: Sequence[Word]) -> tuple[list[RuledTable], list[Word]]:
    """The ruled tables of a page, and the words outside all of them."""
    tables: list[RuledTable] = []
    rest = list(words)
    if len(rules) > MAX_RULES:
        return tables, rest
    for group in _connected(rules):
        grid = _Grid.of(group)
        if grid is None:
            continue
        inside = [word for word in rest if grid.holds(word)]
        rows = grid.fill(inside)
        if sum(any(row) for row in rows) < 2 or sum(any(column) for column in zip(*rows, strict=True)) < 2:
            continue
        taken = {id(word) for word in inside}
        rest = [word for word in rest if id(word) not in taken]
        filled = [row for row in rows if any(row)]
        tables.append(RuledTable(grid.xs[0], grid.ys[0], grid.xs[-1], grid.ys[-1], filled))
    return tables, rest


def _connected(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules that touch each other, directly or through others."""
    groups: list[list[Rule]] = []
    for rule in rules:
        touching = [group for group in groups if any(_touch(rule, other) for other in group)]
        merged = [rule, *(other for group in touching for other in group)]
        groups = [group for group in groups if group not in touching]
        groups.append(merged)
    return groups


def _touch(a: Rule, b: Rule) -> bool:
    return (
        a.x0 <= b.x1 + TOUCH_POINTS
        and b.x0 <= a.x1 + TOUCH_POINTS
        and a.top <= b.bottom + TOUCH_POINTS
        and b.top <= a.bottom + TOUCH_POINTS
    )


@dataclass(slots=True)
class _Grid:
    """Columns between `xs`, rows between `ys`, and the rules that really stand between two cells."""

    xs: list[float]
    ys: list[float]
    horizontal: list[Rule]
    vertical: list[Rule]

    @classmethod
    def of(cls, rules: Sequence[Rule]) -> _Grid | None:
        horizontal = [rule for rule in rules if rule.is_horizontal]
        vertical = [rule for rule in rules if not rule.is_horizontal]
        if len(horizontal) < 2 or not vertical:
            return None
        edges_x = [min(rule.x0 for rule in horizontal), max(rule.x1 for rule in horizontal)]
        edges_y = [min(rule.top for rule in vertical), max(rule.bottom for rule in vertical)]
        xs = _distinct([*(rule.x0 for rule in vertical), *edges_x])
        ys = _distinct([*(rule.top for rule in horizontal), *edges_y])
        columns, rows = len(xs) - 1, len(ys) - 1
        if columns < 2 or rows < 2 or columns * rows > MAX_CELLS:
            return None
        return cls(xs, ys, horizontal, vertical)

    def holds(self, word: Word) -> bool:
        x, y = (word.x0 + word.x1) / 2, (word.top + word.bottom) / 2
        return self.xs[0] <= x <= self.xs[-1] and self.ys[0] <= y <= self.ys[-1]

    def fill(self, words: Sequence[Word]) -> list[list[list[Word]]]:
        columns, rows = len(self.xs) - 1, len(self.ys) - 1
        first = self._first_places(columns, rows)
        cells: list[list[list[Word]]] = [[[] for _ in range(columns)] for _ in range(rows)]
        for word in words:
            column = min(columns - 1, bisect_right(self.xs, (word.x0 + word.x1) / 2) - 1)
            row = min(rows - 1, bisect_right(self.ys, (word.top + word.bottom) / 2) - 1)
            row, column = first[max(0, row), max(0, column)]
            cells[row][column].append(word)
        return cells

    def _first_places(self, columns: int, rows: int) -> dict[tuple[int, int], tuple[int, int]]:
        """For each place of the grid, the upper left place of the cell it belongs to: itself unless merged."""
        first: dict[tuple[int, int], tuple[int, int]] = {}
        for row in range(rows):
            y = (self.ys[row] + self.ys[row + 1]) / 2
            for column in range(columns):
                x = (self.xs[column] + self.xs[column + 1]) / 2
                place = (row, column)
                if row and not self._has_horizontal(x, self.ys[row]):
                    place = first[row - 1, column]
                elif column and not self._has_vertical(self.xs[column], y):
                    place = first[row, column - 1]
                first[row, column] = place
        return first

    def _has_horizontal(self, x: float, y: float) -> bool:
        return any(rule.x0 <= x <= rule.x1 and abs(rule.top - y) <= TOUCH_POINTS for rule in self.horizontal)

    def _has_vertical(self, x: float, y: float) -> bool:
        return any(
            rule.top <= y <= rule.bottom and abs(rule.x0 - x) <= TOUCH_POINTS for rule in self.vertical
        )


def _distinct(values: Sequence[float]) -> list[float]:
    """Sorted, with values that lie within a line's thickness of each other taken as one."""
    found: list[float] = []
    for value in sorted(values):
        if not found or value - found[-1] > TOUCH_POINTS:
            found.append(value)
    return found
