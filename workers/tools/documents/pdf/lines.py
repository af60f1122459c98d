"""Words to segments (no wide gap inside) to lines (one baseline, any number of segments)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from workers.tools.documents.pdf.page import Word

# A gap this wide separates table cells or columns; justified text stays below it.
SEGMENT_GAP_EM = 1.15
BASELINE_EM = 0.35
RAISED_SIZE = 0.87
RAISED_BY_EM = 0.12
BULLET = re.compile(r"^[•◦▪▫■□●○‣⁃∙·✓➢❖*–—-]$")  # noqa: RUF001
# The dots that lead from a title to its page number.
LEADER = re.compile(r"(\s*[.·…]){4,}\s*")


@dataclass(slots=True)
class Segment:
    """Words that follow each other on one baseline."""

    words: list[Word]
    _main: Word | None = field(default=None, init=False, repr=False)
    _main_of: int = field(default=0, init=False, repr=False)

    @property
    def main(self) -> Word:
        """A word of the size that most of the characters have, looked for again only when words were added."""
        if self._main is None or self._main_of != len(self.words):
            self._main, self._main_of = _dominant(self.words), len(self.words)
        return self._main

    @property
    def x0(self) -> float:
        return self.words[0].x0

    @property
    def x1(self) -> float:
        return max(word.x1 for word in self.words)

    @property
    def top(self) -> float:
        return min(word.top for word in self.words)

    @property
    def bottom(self) -> float:
        return max(word.bottom for word in self.words)

    @property
    def baseline(self) -> float:
        return self.main.baseline

    @property
    def size(self) -> float:
        return self.main.size

    @property
    def text(self) -> str:
        return text_of(self.words)


@dataclass(slots=True)
class Line:
    """What stands on one baseline within a column. The numbers are those of its words, kept for speed."""

    segments: list[Segment]
    x0: float
    x1: float
    top: float
    bottom: float
    baseline: float
    size: float

    @property
    def words(self) -> list[Word]:
        return [word for segment in self.segments for word in segment.words]

    @property
    def text(self) -> str:
        return text_of(self.words)

    @property
    def is_mono(self) -> bool:
        return all(word.style.mono for word in self.words)

    @property
    def is_bold(self) -> bool:
        return all(word.style.bold for word in self.words if any(c.isalnum() for c in word.text))


def text_of(words: Iterable[Word]) -> str:
    return "".join(word.text if word.glued else f" {word.text}" for word in words).strip()


def to_segments(words: Sequence[Word]) -> list[Segment]:
    """Chain words in the file's order, which keeps neighbouring columns apart."""
    segments: list[Segment] = []
    for word in words:
        if segments and _follows(segments[-1].words[-1], word):
            segments[-1].words.append(word)
        else:
            segments.append(Segment([replace(word, glued=False)]))
    return segments


def to_lines(segments: Sequence[Segment]) -> list[Line]:
    """Gather segments that share a baseline, top to bottom, each line left to right."""
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda item: (item.baseline, item.x0)):
        row = next((row for row in rows[-3:] if _same_line(row, segment)), None)
        if row is None:
            rows.append([segment])
        else:
            row.append(segment)
    lines = [_line(row) for row in rows]
    return sorted(lines, key=lambda line: line.baseline)


def _line(row: list[Segment]) -> Line:
    row = sorted(row, key=lambda segment: segment.x0)
    merged = [Segment(list(row[0].words))]
    for segment in row[1:]:
        last = merged[-1]
        if segment.x0 - last.x1 < SEGMENT_GAP_EM * min(last.size, segment.size):
            first = segment.words[0]
            glued = segment.x0 - last.x1 < 0.1 * last.size and first.size < RAISED_SIZE * last.size
            last.words.extend([replace(first, glued=glued), *segment.words[1:]])
        else:
            merged.append(Segment(list(segment.words)))
    words = [word for segment in merged for word in segment.words]
    main = _dominant(words)
    for word in words:
        is_small = word.size < RAISED_SIZE * main.size
        if is_small and word.baseline < main.baseline - RAISED_BY_EM * main.size and not word.style.raised:
            word.style = replace(word.style, raised=True)
    return Line(
        segments=merged,
        x0=merged[0].x0,
        x1=max(segment.x1 for segment in merged),
        top=min(word.top for word in words),
        bottom=max(word.bottom for word in words),
        baseline=main.baseline,
        size=main.size,
    )


def _follows(last: Word, word: Word) -> bool:
    size = max(last.size, word.size)
    if word.glued:
        return True
    return (
        abs(word.baseline - last.baseline) < BASELINE_EM * size
        and -0.5 * size < word.x0 - last.x1 < SEGMENT_GAP_EM * size
    )


def _same_line(row: list[Segment], segment: Segment) -> bool:
    """Close baselines; or a small segment (a footnote mark) that stands within the height of the row."""
    first = max(row, key=lambda item: item.size)
    size = min(first.size, segment.size)
    if abs(first.baseline - segment.baseline) < BASELINE_EM * size:
        return True
    small, large = sorted((first, segment), key=lambda item: item.size)
    overlap = min(small.bottom, large.bottom) - max(small.top, large.top)
    return small.size < RAISED_SIZE * large.size and overlap > 0.4 * (small.bottom - small.top)


def _dominant(words: Sequence[Word]) -> Word:
    first = words[0]
    if all(word.size == first.size for word in words):
        return first
    weight = Counter[float]()
    for word in words:
        weight[round(word.size, 1)] += len(word.text)
    size = weight.most_common(1)[0][0]
    return next(word for word in words if round(word.size, 1) == size)
