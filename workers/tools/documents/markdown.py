"""Markdown (CommonMark with GitHub's tables) from plain pieces: escaping, tables, fences, outline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

# Only what would be read as markup where it stands: prose stays readable.
ALWAYS = re.compile(
    r"[\\`*]|_(?![A-Za-z0-9])|(?<![A-Za-z0-9])_|~~|<(?![\s=\d])|\](?=[(\[:])|&(?=#?\w{2,31};)"
)
LINE_START = re.compile(r"^(\s*)([#>+=-]|\d{1,9}[.)])(?=\s|$|[=-])")
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|</?[a-z]+>|[*`]|(?<!\w)_|_(?!\w)|\\(?=[^\w\s])")


def escape(text: str) -> str:
    """Text that renders as itself in the middle of a line."""
    return ALWAYS.sub(lambda match: f"\\{match[0]}", text)


def escape_line_start(text: str) -> str:
    """Keep a paragraph from being read as a heading, a quotation or a list."""

    def backslash(match: re.Match[str]) -> str:
        mark = match[2]
        return f"{match[1]}{mark[:-1]}\\{mark[-1]}" if len(mark) > 1 else f"{match[1]}\\{mark}"

    return LINE_START.sub(backslash, text)


def table(rows: Sequence[Sequence[str]]) -> str:
    """A GitHub table; the first row is its header. Cells hold inline Markdown."""
    width = max((len(row) for row in rows), default=0)
    if not width:
        return ""
    lines = [_row(row, width) for row in rows]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _row(cells: Sequence[str], width: int) -> str:
    return "| " + " | ".join([*map(cell, cells), *[""] * (width - len(cells))]) + " |"


def cell(text: str) -> str:
    """One table cell: on one line, with its own bars escaped."""
    return re.sub(r"(?<!\\)\|", r"\\|", re.sub(r"\s*\n\s*", "<br>", text.strip()))


def fence(code: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{code.rstrip()}\n{ticks}"


def code_span(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def link(text: str, target: str) -> str:
    """A link; a target with spaces or brackets goes into angle brackets."""
    target = target.strip()
    if re.search(r"[\s()<>]", target):
        target = "<" + re.sub(r"[<>\n]", "", target) + ">"
    return f"[{text}]({target})"


def headings(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The headings of a Markdown text as (level, plain text), those inside code blocks left out."""
    closing = ""
    for line in lines:
        mark = FENCE.match(line)
        if mark and not closing:
            closing = mark[1]
        elif mark and line.strip().startswith(closing) and not line.strip().strip(closing[0]):
            closing = ""
        elif not closing and (found := HEADING.match(line)):
            yield len(found[1]), plain(found[2])


def plain(inline: str) -> str:
    """Inline Markdown without its markup, near enough for an outline."""
    return MARKUP.sub(lambda match: match[1] or "", inline).strip()


def join_paragraph(above: str, below: str) -> str:
    """Two pieces of one paragraph that a page or column break had parted, inside a word or between two."""
    if re.search(r"[^\W\d_]-$", above) and below[:1].islower():
        return above[:-1] + below
    return f"{above} {below}"
