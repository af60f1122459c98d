"""PDF: opened with PDFium, laid out by this package."""

# The bindings carry no types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from workers.tools.documents.parts import DocumentRefused, Part
from workers.tools.documents.pdf.columns import find_gutter
from workers.tools.documents.pdf.layout import lay_out
from workers.tools.documents.pdf.lines import Line, to_lines, to_segments
from workers.tools.documents.pdf.page import PageContent
from workers.tools.documents.pdf.reader import read_page
from workers.tools.documents.pdf.survey import (
    HEADING_RATIO,
    Edge,
    OutlineEntry,
    Survey,
    edge_keys,
    edges_of,
    repeated,
    survey,
)

SAMPLE_PAGES = 48
SAMPLE_RUN = 8
# Running lines that change from chapter to chapter are found by looking this far to both sides.
WINDOW_PAGES = 3
MAX_OUTLINE = 5000
# A page with less text than this, and pictures over this much of it, is taken for a scan.
SCAN_CHARACTERS = 20
SCAN_PICTURE_SHARE = 0.3
MAX_UNMAPPED_SHARE = 0.3
USELESS_TITLE = re.compile(
    r"^(\(?(untitled|anonymous|unspecified)\)?|document\d*|microsoft \w+ - .*"
    r"|.*\.(docx?|pptx?|xlsx?|tex|dvi|indd|qxd|rtf))$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Page:
    content: PageContent
    lines: list[Line]
    edges: frozenset[Edge]

    @classmethod
    def of(cls, content: PageContent, index: int) -> Self:
        lines = to_lines(to_segments(content.words))
        return cls(content, lines, edges_of(content, lines, index))


class PdfDocument:
    unit = "page"
    batch = 10

    def __init__(self, path: Path) -> None:
        self.warnings: list[str] = []
        try:
            self._pdf = pdfium.PdfDocument(path)
        except pdfium.PdfiumError as error:
            raise _refusal(raw.FPDF_GetLastError()) from error
        self._pages = len(self._pdf)
        if not self._pages:
            raise DocumentRefused("The PDF has no pages. Check that the file is complete.")
        if self._pdf.get_formtype() != raw.FORMTYPE_NONE:
            self._pdf.init_forms()
        title = self._pdf.get_metadata_dict().get("Title", "").strip("\0 \n")
        self.title = title if title and not USELESS_TITLE.match(title) else None
        self._survey: Survey | None = None
        self._read: dict[int, _Page] = {}

    @property
    def count(self) -> int:
        return self._pages

    def close(self) -> None:
        self._pdf.close()

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        known = self._learn()
        for number in numbers:
            index = number - 1
            near = range(max(0, index - WINDOW_PAGES), min(self._pages, index + WINDOW_PAGES + 1))
            window = {each: self._page(each) for each in near}
            edges = known.edges | repeated({each: page.edges for each, page in window.items()})
            yield _convert(window[index], known, edges, index)
            if self._pages > SAMPLE_PAGES:
                self._read = {each: page for each, page in self._read.items() if each in near}

    def _learn(self) -> Survey:
        """Look at some pages: all of a short document, else runs of pages spread over a long one."""
        if self._survey is None:
            pages = {index: self._page(index) for index in _sample(self._pages)}
            edges = repeated({index: page.edges for index, page in pages.items()})
            lines = {index: page.lines for index, page in pages.items()}
            found = (find_gutter(to_segments(page.content.words)) for page in pages.values())
            gutters = [gutter for gutter in found if gutter is not None]
            self._survey = survey(lines, edges, gutters, self._outline())
        return self._survey

    def _page(self, index: int) -> _Page:
        if index not in self._read:
            try:
                self._read[index] = _Page.of(read_page(self._pdf, index), index)
            except pdfium.PdfiumError:
                # One damaged page is no reason to lose the others; it counts as a page without text.
                self._read[index] = _Page.of(PageContent(1.0, 1.0, picture_share=1.0), index)
                self.warnings.append(f"Page {index + 1} is damaged and was left out.")
        return self._read[index]

    def _outline(self) -> list[OutlineEntry]:
        entries: list[OutlineEntry] = []
        for bookmark in islice(self._pdf.get_toc(), MAX_OUTLINE):
            target = bookmark.get_dest()
            page = target.get_index() if target is not None else None
            if page is not None:
                entries.append(OutlineEntry(bookmark.get_title(), bookmark.level, page))
        return entries


def _sample(count: int) -> list[int]:
    if count <= SAMPLE_PAGES:
        return list(range(count))
    runs = SAMPLE_PAGES // SAMPLE_RUN
    step = (count - SAMPLE_RUN) / (runs - 1)
    return sorted({int(run * step) + page for run in range(runs) for page in range(SAMPLE_RUN)})


def _convert(page: _Page, known: Survey, edges: frozenset[Edge], index: int) -> Part:
    content = page.content
    characters = sum(len(word.text) for word in content.words)
    if characters < SCAN_CHARACTERS and content.picture_share > SCAN_PICTURE_SHARE:
        return Part(markdown="", trouble="scanned")
    running = {
        (word.x0, word.baseline)
        for line in page.lines
        if line.size < known.body_size * HEADING_RATIO and edges & edge_keys(line, content, index)
        for word in line.words
    }
    words = [word for word in content.words if (word.x0, word.baseline) not in running]
    part = lay_out(PageContent(content.width, content.height, words, content.rules), known, index)
    if content.unmapped > MAX_UNMAPPED_SHARE * characters:
        part["trouble"] = "unmapped"
    return part


def _refusal(code: int) -> DocumentRefused:
    if code == raw.FPDF_ERR_PASSWORD:
        return DocumentRefused(
            "The PDF is encrypted and asks for a password, which must not be sent through here. Open it where "
            "the password is known, save or print it to a PDF without one, and send that copy."
        )
    if code == raw.FPDF_ERR_SECURITY:
        return DocumentRefused(
            "The PDF is protected by a scheme that cannot be opened here. Print it to a plain PDF and send that."
        )
    return DocumentRefused(
        "The PDF is damaged: it cannot be opened. Download or export it again; if it opens in a viewer, print it "
        "to a new PDF and send that copy."
    )
