"""What a look at some of a document's pages tells about all of them.

Body size, heading sizes and their levels, whether the body is monospaced, which words are spelled with a hyphen,
and which lines run along the edges of the pages.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workers.tools.documents.pdf.lines import Line
from workers.tools.documents.pdf.page import PageContent, Style

# Running headers and footers stand in these parts of the page's height, and at most this deep in lines.
EDGE_SHARE = 0.13
EDGE_LINES = 3
EDGE_POINTS = 4.0
GUTTER_POINTS = 8.0
MIN_REPEATS = 3
HEADING_RATIO = 1.08
MAX_LEVELS = 5
MAX_HEADING_SHARE = 0.25
# A line's text with its numbers left out, and roughly where it stands.
Edge = tuple[str, int]
COMPOUND = re.compile(r"^\w+(?:-\w+)+$")
ROMAN = re.compile(r"\b[ivxlc]+\b")
OUTER_NUMBER = re.compile(r"^\d{1,4}(?=\s)|(?<=\s)\d{1,4}$")
PAGE_NUMBER = re.compile(r"^\W*(page|seite|p\.?)?\W*(#|[ivxlc]{1,7})\W*((of|von|/)\W*#)?\W*$")


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """A bookmark; level counts from 0."""

    title: str
    level: int
    page: int


@dataclass(frozen=True, slots=True)
class Survey:
    """levels: heading level by rounded size. outline: level by page and normalised title.

    edges: running lines as (normalised text, rounded distance from the page's top). gutter: where several
    pages are parted into columns.
    """

    body_size: float = 10.0
    body_style: Style = field(default_factory=Style)
    levels: dict[float, int] = field(default_factory=dict[float, int])
    bold_level: int = 6
    outline: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    compounds: frozenset[str] = frozenset()
    edges: frozenset[Edge] = frozenset()
    gutter: float | None = None

    def level_of(self, size: float) -> int | None:
        """The heading level of text this large, or None for body text."""
        near = [known for known in self.levels if abs(known - size) <= 0.4]
        return self.levels[min(near, key=lambda known: abs(known - size))] if near else None


def survey(
    lines: dict[int, list[Line]],
    edges: frozenset[Edge],
    gutters: Sequence[float],
    outline: Sequence[OutlineEntry],
) -> Survey:
    """Learn from the lines of the given pages (by index from 0), their running lines and their gutters."""
    sizes, styles = Counter[float](), Counter[Style]()
    compounds: set[str] = set()
    for line in (line for page_lines in lines.values() for line in page_lines):
        for word in line.words:
            sizes[_bucket(word.size)] += len(word.text)
            styles[Style(bold=word.style.bold, italic=word.style.italic, mono=word.style.mono)] += len(
                word.text
            )
            bare = word.text.strip(".,;:!?()\"'").lower()
            if COMPOUND.match(bare):
                compounds.add(bare)
    if not sizes:
        return Survey()
    body = sizes.most_common(1)[0][0]
    headings = _heading_sizes(sizes, body)
    known = {(entry.page, normalise(entry.title)): entry.level for entry in outline}
    offset = _outline_offset(lines, headings, known)
    by_outline = {key: min(6, level + 1 + offset) for key, level in known.items()}
    levels = _levels(lines, headings, by_outline)
    return Survey(
        body_size=body,
        body_style=styles.most_common(1)[0][0],
        levels=levels,
        bold_level=min(6, max([*levels.values(), 1 if levels else 0]) + 1),
        outline=by_outline,
        compounds=frozenset(compounds),
        edges=edges,
        gutter=_usual(gutters),
    )


def _usual(gutters: Sequence[float]) -> float | None:
    """The gutter that at least two pages share."""
    for gutter in gutters:
        near = [other for other in gutters if abs(other - gutter) < GUTTER_POINTS]
        if len(near) > 1 and len(near) * 2 >= len(gutters):
            return sum(near) / len(near)
    return None


def normalise(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


def edges_of(page: PageContent, lines: Sequence[Line], index: int) -> frozenset[Edge]:
    """What may be running headers and footers: the outermost lines of the page."""
    count = len(lines)
    outer = {*range(min(EDGE_LINES, count)), *range(max(0, count - EDGE_LINES), count)}
    return frozenset(
        key for n in outer if not _is_in_table(lines, n) for key in edge_keys(lines[n], page, index)
    )


def repeated(edges: Mapping[int, frozenset[Edge]]) -> frozenset[Edge]:
    """The edges that return on several pages; of two pages, on both."""
    seen = Counter(edge for page_edges in edges.values() for edge in page_edges)
    needed = MIN_REPEATS if len(edges) > 2 else 2
    return frozenset(edge for edge, count in seen.items() if count >= needed)


def _is_in_table(lines: Sequence[Line], index: int) -> bool:
    """A row of a table, whose header may well return on every page: a neighbour is in parts as well."""
    line = lines[index]
    neighbours = [lines[n] for n in (index - 1, index + 1) if 0 <= n < len(lines)]
    return len(line.segments) > 1 and any(
        len(other.segments) > 1 and abs(other.baseline - line.baseline) < 3 * line.size
        for other in neighbours
    )


def edge_keys(line: Line, page: PageContent, index: int) -> frozenset[Edge]:
    """The line as what would repeat of it: its text without numbers, or the page number it counts.

    Each in both of the places that rounding could give it. Counting lines are found although their text
    changes, as running chapter titles do.
    """
    from_top = line.baseline / max(1.0, page.height)
    if EDGE_SHARE < from_top < 1 - EDGE_SHARE:
        return frozenset()
    folded = line.text.casefold()
    text = re.sub(r"\d+", "#", folded)
    names = ["#" if PAGE_NUMBER.match(ROMAN.sub("#", text)) else text]
    names += [f"#{int(number) - index}" for number in OUTER_NUMBER.findall(folded)]
    place = line.baseline / EDGE_POINTS
    return frozenset(key for name in names for key in ((name, int(place)), (name, -int(place + 0.5))))


def _bucket(size: float) -> float:
    return round(size * 2) / 2


def _heading_sizes(sizes: Counter[float], body: float) -> list[float]:
    """The sizes above the body's that are rare enough to head something, largest first."""
    total = sum(sizes.values())
    large = [
        size for size in sizes if size >= body * HEADING_RATIO and sizes[size] < MAX_HEADING_SHARE * total
    ]
    return sorted(large, reverse=True)


def _outline_offset(
    lines: dict[int, list[Line]], sizes: Sequence[float], outline: dict[tuple[int, str], int]
) -> int:
    """1 if the document opens with a title that its own outline does not list, else 0."""
    if not sizes or not outline:
        return 0
    largest = [
        (index, line)
        for index, page_lines in lines.items()
        for line in page_lines
        if abs(_bucket(line.size) - sizes[0]) < 0.4
    ]
    listed = any((index, normalise(line.text)) in outline for index, line in largest)
    return 0 if listed or any(index > 1 for index, _ in largest) else 1


def _levels(
    lines: dict[int, list[Line]], sizes: Sequence[float], outline: dict[tuple[int, str], int]
) -> dict[float, int]:
    """Sizes by the level the outline gives their text, or, where it is silent, by their rank."""
    votes: defaultdict[float, Counter[int]] = defaultdict(Counter)
    for index, page_lines in lines.items():
        for line in page_lines:
            level = outline.get((index, normalise(line.text)))
            if level is not None:
                votes[_bucket(line.size)][level] += 1
    levels: dict[float, int] = {}
    rank = 0
    previous: float | None = None
    for size in sizes:
        if size in votes:
            rank = max(rank, votes[size].most_common(1)[0][0])
        elif previous is None or previous - size > 0.6:
            rank += 1
        levels[size] = min(rank, MAX_LEVELS)
        previous = size
    return levels
