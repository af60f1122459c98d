"""The lines of a page to blocks of Markdown: headings, paragraphs, lists, code and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from workers.tools.documents import markdown
from workers.tools.documents.pdf import aligned, inline
from workers.tools.documents.pdf.column import PARAGRAPH_GAP, SENTENCE_END, Column, same_size
from workers.tools.documents.pdf.lines import BULLET, LEADER, Line, Segment, to_lines, to_segments
from workers.tools.documents.pdf.page import SOFT_HYPHEN, Style, Word
from workers.tools.documents.pdf.survey import Survey

HARD_BREAK = "\\\n"
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
    reader = _Reader(list(lines), survey, page)
    index = 0
    while index < len(lines):
        if index in tables:
            table = tables[index]
            yield Block(markdown.table(render_rows(table.rows, survey.compounds)))
            index = table.last + 1
            continue
        end = next((start for start in sorted(tables) if start > index), len(lines))
        index, block = reader.take(index, end)
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


class _Reader(Column):
    """Takes block after block from the column's lines."""

    def __init__(self, lines: list[Line], survey: Survey, page: int) -> None:
        super().__init__(lines, survey, page)
        self.list_indents: list[float] = []

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
            same_size(above, line)
            and self.gap(index) < 1.6 * above.size
            and self.heading_level(index, end) == level
            and self.spare_room(index, self.left, self.right) < 0.25 * (self.right - self.left)
            and not self.starts_numbered(line)
        )

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

    def take_item(self, index: int, end: int) -> tuple[int, Block]:
        line = self.lines[index]
        mark = self.marker(line)
        # The bullet of an outer list may stand before that of the inner one, on the same line.
        self.counted = int(mark) if mark.isdigit() else 0
        texts = (n for n, word in enumerate(line.words) if mark != "•" or not BULLET.match(word.text))
        own = next(texts, len(line.words) - 1)
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
        if self.marker(line) or self.gap(index) > PARAGRAPH_GAP * self.leading or not same_size(line, first):
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
        if above.text.endswith(SOFT_HYPHEN) and same_size(line, above) and self.gap(index) < 2.2 * line.size:
            return True
        if not same_size(line, above) or self.gap(index) > PARAGRAPH_GAP * max(
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
