"""What can be said of a line among the lines of its column: is it a heading, an item, the end of something?"""

from __future__ import annotations

import re
from itertools import pairwise
from statistics import median

from workers.tools.documents.pdf.lines import BULLET, Line
from workers.tools.documents.pdf.page import SOFT_HYPHEN
from workers.tools.documents.pdf.survey import Survey, normalise

NUMBER = re.compile(r"^(\d{1,3}[.)]|\(\d{1,3}\)|[a-zA-Z][.)]|\([a-z]{1,4}\)|[ivx]{1,5}[.)])$")
SENTENCE_END = (".", "!", "?", ":", ".”", '."', ".)", "。")
PARAGRAPH_GAP = 1.32
MAX_HEADING_WORDS = 25
MAX_BOLD_HEADING_WORDS = 14
MAX_BOLD_HEADING_LINES = 3


class Column:
    """Consecutive lines, and what is usual among them."""

    def __init__(self, lines: list[Line], survey: Survey, page: int) -> None:
        self.lines = lines
        self.survey = survey
        self.page = page
        self.left = min(line.x0 for line in lines)
        self.right = max(line.x1 for line in lines)
        self.mono_body = survey.body_style.mono
        gaps = [b.baseline - a.baseline for a, b in pairwise(lines) if same_size(a, b)]
        usual = [gap for gap in gaps if gap < 2.2 * survey.body_size]
        self.leading = median(usual) if usual else 1.2 * survey.body_size
        self.counted = 0

    def heading_level(self, index: int, end: int) -> int | None:
        line = self.lines[index]
        text = line.text
        if not any(character.isalpha() for character in text):
            return None
        listed = self.survey.outline.get((self.page, normalise(text)))
        if listed is not None:
            return listed
        level = self.survey.level_of(line.size)
        if level is not None and len(line.words) <= MAX_HEADING_WORDS and len(normalise(text)) > 1:
            return level
        return self.survey.bold_level if self.bold_heading(index, end) else None

    def bold_heading(self, index: int, end: int) -> int:
        """How many lines from this one on are a heading only by being bold, short and set apart."""
        if self.survey.body_style.bold or (index and self.gap(index) <= 1.15 * self.leading):
            return 0
        last = index
        while (
            last < end and self.lines[last].is_bold and (last == index or self.gap(last) < 1.6 * self.leading)
        ):
            last += 1
        lines = self.lines[index:last]
        words = sum(len(line.words) for line in lines)
        if not lines or len(lines) > MAX_BOLD_HEADING_LINES or words > MAX_BOLD_HEADING_WORDS * len(lines):
            return 0
        first, text = lines[0], lines[-1].text
        if first.is_mono or self.marker(first) == "•" or text.endswith((".", ",", ";", ":")):
            return 0
        is_large = all(
            line.size >= 0.93 * self.survey.body_size and len(line.segments) <= 2 for line in lines
        )
        return len(lines) if is_large else 0

    def starts_numbered(self, line: Line) -> bool:
        return bool(re.match(r"^(\d+(\.\d+)*\.?|[A-Z]\.)$", line.words[0].text))

    def marker(self, line: Line) -> str:
        """What a list item starts with, "•" for any bullet, or nothing."""
        first, *rest = line.words
        if not rest:
            return ""
        if BULLET.match(first.text):
            return "•"
        if NUMBER.match(first.text):
            return first.text
        # A bare number is one only if it is set apart and counts on: else it belongs to the sentence.
        is_apart = rest[0].x0 - first.x1 > 0.7 * line.size and len(line.segments) <= 2
        return first.text if is_apart and first.text in ("1", str(self.counted + 1)) else ""

    def ended_early(self, index: int) -> bool:
        """Whether the line above stopped at a full stop although the next word had room."""
        above, line = self.lines[index - 1], self.lines[index]
        return (
            above.text.endswith(SENTENCE_END)
            and self.spare_room(index, above.x0, self.right) > 1.5 * line.size
        )

    def is_broken_off(self, index: int) -> bool:
        """Whether the line above ends where no typesetter would break: in an address, a verse, a listing."""
        above = self.lines[index - 1]
        if above.text.endswith((SOFT_HYPHEN, "-")):
            return False
        right = self.right_edge(index)
        return self.spare_room(index, above.x0, right) > max(4 * above.size, 0.2 * (right - above.x0))

    def right_edge(self, index: int) -> float:
        """Where the lines around end: at an edge of their own if most of them reach it, else the column's.

        A quotation or the text beside a picture is set narrower than the column.
        """
        first = last = index
        while first > max(0, index - 4) and self.gap(first) <= PARAGRAPH_GAP * self.leading:
            first -= 1
        while (
            last + 1 < min(len(self.lines), index + 5) and self.gap(last + 1) <= PARAGRAPH_GAP * self.leading
        ):
            last += 1
        near = self.lines[first : last + 1]
        left, right = min(line.x0 for line in near), max(line.x1 for line in near)
        reaching = sum(right - line.x1 < 0.15 * (right - left) for line in near)
        return right if len(near) > 3 and reaching > len(near) / 2 else self.right

    def spare_room(self, index: int, left: float, right: float) -> float:
        """What would have been left of the line above if this line's first word had been put there as well."""
        above, word = self.lines[index - 1], self.lines[index].words[0]
        return (right - left) - (above.x1 - above.x0) - (word.x1 - word.x0) - 0.3 * above.size

    def is_full(self, index: int) -> bool:
        line = self.lines[index]
        return self.right - line.x1 < 0.12 * (self.right - self.left)

    def gap(self, index: int) -> float:
        return self.lines[index].baseline - self.lines[index - 1].baseline if index else float("inf")


def same_size(a: Line, b: Line) -> bool:
    return abs(a.size - b.size) < 0.08 * max(a.size, b.size)
