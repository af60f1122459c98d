"""The lines of a page to blocks of Markdown: headings, paragraphs, lists, code and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from workers.tools.documents import markdown
from workers.tools.documents.pdf import aligned, inline
from workers.tools.documents.pdf.lines import BULLET, LEADER, Line, Segment, to_lines, to_segments
from workers.tools.documents.pdf.page import SOFT_HYPHEN, Style, Word
from workers.tools.documents.pdf.survey import Survey, normalise

NUMBER = re.compile(r"^(\d{1,3}[.)]|\(\d{1,3}\)|[a-zA-Z][.)]|\([a-z]{1,4}\)|[ivx]{1,5}[.)])$")
SENTENCE_END = (".", "!", "?", ":", ".”", '."', ".)", "。")
HARD_BREAK = "\\\n"
PARAGRAPH_GAP = 1.32
MAX_HEADING_WORDS = 25
MAX_BOLD_HEADING_WORDS = 14
MAX_BOLD_HEADING_LINES = 3
INDENT_EM = 0.8
NO_WEIGHT = Style(bold=True)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of Markdown.

    open_end: prose that may go on in the next column or page; starts_inside: prose that may go on from there.
    is_item: a list item, which follows another without a blank line.
    """

    text: str
    is_item: bool = False
    open_end: bool = False
    starts_inside: bool = False


def to_blocks(lines: Sequence[Line], survey: Survey, page: int) -> Iterator[Block]:
    """One column of text, top to bottom."""
    if not lines:
        return
    tables = {table.first: table for table in aligned.find_tables(lines)}
    column = _Column(list(lines), survey, page)
    index = 0
    while index < len(lines):
        if index in tables:
            table = tables[index]
            yield Block(markdown.table(render_rows(table.rows, survey.compounds)))
            index = table.last + 1
            continue
        end = next((start for start in sorted(tables) if start > index), len(lines))
        index, block = column.take(index, end)
        if block is not None:
            yield block


def render_rows(rows: Sequence[Sequence[Sequence[Segment]]], compounds: frozenset[str]) -> list[list[str]]:
    """The cells of a table as inline Markdown; bold says nothing in a row that is bold throughout."""
    rendered: list[list[str]] = []
    for row in rows:
        words = [word for cell in row for segment in cell for word in segment.words]
        ignore = NO_WEIGHT if words and all(word.style.bold for word in words) else Style()
        rendered.append([inline.render([s.words for s in cell], compounds, ignore) for cell in row])
    return rendered


def cell_segments(words: Sequence[Word]) -> list[Segment]:
    """The words of a ruled table's cell in reading order, a segment a line."""
    lines = to_lines(to_segments(words))
    return [Segment(line.words) for line in lines if line.words]


class _Column:
    """Consecutive lines, and what is usual among them."""

    def __init__(self, lines: list[Line], survey: Survey, page: int) -> None:
        self.lines = lines
        self.survey = survey
        self.page = page
        self.left = min(line.x0 for line in lines)
        self.right = max(line.x1 for line in lines)
        self.mono_body = survey.body_style.mono
        gaps = [b.baseline - a.baseline for a, b in pairwise(lines) if _same_size(a, b)]
        usual = [gap for gap in gaps if gap < 2.2 * survey.body_size]
        self.leading = median(usual) if usual else 1.2 * survey.body_size
        # A margin far from where most lines start is that of a list or a centred title.
        self.list_indents: list[float] = []
        self.counted = 0

    def take(self, index: int, end: int) -> tuple[int, Block | None]:
        """The block that starts at this line, and the line after it."""
        line = self.lines[index]
        if LEADER.search(line.text):
            return index + 1, self.contents_entry(line)
        level = self.heading_level(index, end)
        if level is not None:
            return self.take_heading(index, end, level)
        if line.is_mono and not self.mono_body:
            return self.take_code(index, end)
        if self.marker(line):
            return self.take_item(index, end)
        return self.take_paragraph(index, end)

    # Headings

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

    def take_heading(self, index: int, end: int, level: int) -> tuple[int, Block]:
        """Also the lines into which a long heading was broken."""
        last = index
        if self.survey.level_of(self.lines[index].size) is None:
            last += max(1, self.bold_heading(index, end)) - 1
        else:
            while last + 1 < end and self.continues_heading(last + 1, end, level):
                last += 1
        words = [line.words for line in self.lines[index : last + 1]]
        plain = Style(bold=True, italic=True, mono=True)
        text = inline.render(words, self.survey.compounds, plain)
        return last + 1, Block(f"{'#' * level} {text}")

    def continues_heading(self, index: int, end: int, level: int) -> bool:
        line, above = self.lines[index], self.lines[index - 1]
        return (
            _same_size(above, line)
            and self.gap(index) < 1.6 * above.size
            and self.heading_level(index, end) == level
            and self.spare_room(index, self.left, self.right) < 0.25 * (self.right - self.left)
            and not self.starts_numbered(line)
        )

    def starts_numbered(self, line: Line) -> bool:
        return bool(re.match(r"^(\d+(\.\d+)*\.?|[A-Z]\.)$", line.words[0].text))

    # Code

    def take_code(self, index: int, end: int) -> tuple[int, Block]:
        """Monospaced lines, with their indentation and blank lines."""
        last = index
        while last + 1 < end and self.lines[last + 1].is_mono and self.gap(last + 1) < 3.2 * self.leading:
            last += 1
        lines = self.lines[index : last + 1]
        width = median(
            (word.x1 - word.x0) / max(1, len(word.text)) for line in lines for word in line.words
        ) or 0.6 * self.survey.body_size  # fmt: skip
        left = min(line.x0 for line in lines)
        step = min((self.gap(n) for n in range(index + 1, last + 1)), default=self.leading)
        code: list[str] = []
        for number, line in enumerate(lines, start=index):
            if code and self.gap(number) > 1.6 * step:
                code.append("")
            code.append(_spaced_by_place(line, left, width))
        return last + 1, Block(markdown.fence("\n".join(code)))

    # Lists

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

    def take_item(self, index: int, end: int) -> tuple[int, Block]:
        line = self.lines[index]
        mark = self.marker(line)
        # The bullet of an outer list may stand before that of the inner one, on the same line.
        self.counted = int(mark) if mark.isdigit() else 0
        own = next(n for n, word in enumerate(line.words) if mark != "•" or not BULLET.match(word.text))
        words = line.words[max(1, own) :]
        last = index
        while last + 1 < end and self.continues_item(last + 1, words[0].x0, line, end):
            last += 1
        lines = [words, *(other.words for other in self.lines[index + 1 : last + 1])]
        text = inline.render(lines, self.survey.compounds)
        depth = self.depth(line.words[max(0, own - 1)].x0)
        indent = "  " * depth * (1 if mark == "•" else 2)
        return last + 1, Block(f"{indent}{_list_mark(mark)} {text}", is_item=True)

    def continues_item(self, index: int, text_x: float, first: Line, end: int) -> bool:
        line = self.lines[index]
        if self.marker(line) or self.gap(index) > PARAGRAPH_GAP * self.leading or not _same_size(line, first):
            return False
        if (line.is_mono and not first.is_mono) or self.heading_level(index, end) is not None:
            return False
        if self.is_broken_off(index):
            return False
        hanging = abs(line.x0 - text_x) < INDENT_EM * line.size
        return hanging or (line.x0 < text_x and self.is_full(index - 1))

    def depth(self, x0: float) -> int:
        """How deep a list is nested, from how far its markers are indented."""
        self.list_indents = [x for x in self.list_indents if x < x0 - 0.6 * self.survey.body_size]
        self.list_indents.append(x0)
        return len(self.list_indents) - 1

    def contents_entry(self, line: Line) -> Block:
        """A line of a table of contents or an index, its dots left out."""
        depth = min(3, max(0, round((line.x0 - self.left) / (1.5 * self.survey.body_size))))
        entries: list[str] = []
        for segment in line.segments if all(LEADER.search(s.text) for s in line.segments) else [line]:
            name, _, page = LEADER.sub("\0", segment.text).partition("\0")
            entries.append("  " * depth + f"- {markdown.escape(name)}" + (f" … {page}" if page else ""))
        return Block("\n".join(entries), is_item=True)

    # Paragraphs

    def take_paragraph(self, index: int, end: int) -> tuple[int, Block | None]:
        self.list_indents = []
        last = index
        while last + 1 < end and self.continues_paragraph(index, last + 1, end):
            last += 1
        lines = self.lines[index : last + 1]
        starts = [0, *(n - index for n in range(index + 1, last + 1) if self.is_broken_off(n)), len(lines)]
        text = HARD_BREAK.join(
            markdown.escape_line_start(
                inline.render([line.words for line in lines[start:stop]], self.survey.compounds)
            )
            for start, stop in pairwise(starts)
        )
        if not text:
            return last + 1, None
        final = lines[-1].text
        at_end = last + 1 == len(self.lines)
        return last + 1, Block(
            text,
            open_end=at_end and (final.endswith(SOFT_HYPHEN) or not final.endswith(SENTENCE_END)),
            starts_inside=index == 0 and lines[0].text[:1].islower(),
        )

    def continues_paragraph(self, first: int, index: int, end: int) -> bool:
        line, above = self.lines[index], self.lines[index - 1]
        if above.text.endswith(SOFT_HYPHEN) and _same_size(line, above) and self.gap(index) < 2.2 * line.size:
            return True
        if not _same_size(line, above) or self.gap(index) > PARAGRAPH_GAP * max(
            self.leading, 1.15 * line.size
        ):
            return False
        if (line.is_mono and not self.mono_body) or LEADER.search(line.text):
            return False
        if self.marker(line) and not (self.marker(line) != "•" and self.is_full(index - 1)):
            return False
        if self.heading_level(index, end) is not None:
            return False
        # A first line is indented against the lines around it, or hangs out of an indented block.
        indented = line.x0 - above.x0 > INDENT_EM * line.size
        if indented and (index - first > 1 or above.text.endswith(SENTENCE_END)):
            return False
        return not self.ended_early(index)

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


def _same_size(a: Line, b: Line) -> bool:
    return abs(a.size - b.size) < 0.08 * max(a.size, b.size)


def _list_mark(mark: str) -> str:
    if mark == "•":
        return "-"
    digits = mark.strip("().")
    # Only numbers start an ordered list in Markdown; letters stay part of the text.
    return f"{digits}." if digits.isdigit() else f"- {mark}"


def _spaced_by_place(line: Line, left: float, width: float) -> str:
    text = ""
    for word in line.words:
        column = round((word.x0 - left) / width)
        spaces = column - len(text) if not text or not word.glued else 0
        text += " " * max(spaces, 1 if text and not word.glued else 0) + word.text.replace(SOFT_HYPHEN, "-")
    return text
