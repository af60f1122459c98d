"""The reader for each format. Each brings a parser of its own, so only the one that is needed is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from workers.tools.documents.archive import check_archive
from workers.tools.documents.kinds import Kind
from workers.tools.documents.parts import Document
from workers.tools.sources import LocalSource

ARCHIVES = frozenset({Kind.DOCX, Kind.PPTX, Kind.XLSX, Kind.EPUB})


def open_document(kind: Kind, source: LocalSource, base_url: str | None = None) -> Document:
    """Raises DocumentRefused, or whatever the format's parser stumbles over.

    base_url: where an HTML page came from, to complete its links.
    """
    path, name = source.path, source.name
    if kind in ARCHIVES:
        check_archive(path, name)
    openers: dict[Kind, Callable[[], Document]] = {
        Kind.PDF: lambda: _pdf(path),
        Kind.DOCX: lambda: _docx(path, name),
        Kind.PPTX: lambda: _pptx(path, name),
        Kind.XLSX: lambda: _xlsx(path, name),
        Kind.EPUB: lambda: _epub(path, name),
        Kind.HTML: lambda: _html(path, name, base_url),
        Kind.MARKDOWN: lambda: _text(path, name, is_markdown=True),
        Kind.TEXT: lambda: _text(path, name, is_markdown=False),
        Kind.CSV: lambda: _separated(path, name, None),
        Kind.TSV: lambda: _separated(path, name, "\t"),
    }
    return openers[kind]()


def _pdf(path: Path) -> Document:
    from workers.tools.documents.pdf.document import PdfDocument

    return PdfDocument(path)


def _docx(path: Path, name: str) -> Document:
    from workers.tools.documents.docx import DocxDocument

    return DocxDocument(path, name)


def _pptx(path: Path, name: str) -> Document:
    from workers.tools.documents.pptx import PptxDocument

    return PptxDocument(path, name)


def _xlsx(path: Path, name: str) -> Document:
    from workers.tools.documents.xlsx import XlsxDocument

    return XlsxDocument(path, name)


def _epub(path: Path, name: str) -> Document:
    from workers.tools.documents.epub import EpubDocument

    return EpubDocument(path, name)


def _html(path: Path, name: str, base_url: str | None) -> Document:
    from workers.tools.documents.html import HtmlDocument

    return HtmlDocument(path, name, base_url)


def _text(path: Path, name: str, *, is_markdown: bool) -> Document:
    from workers.tools.documents.text import TextDocument

    return TextDocument(path, name, is_markdown=is_markdown)


def _separated(path: Path, name: str, delimiter: str | None) -> Document:
    from workers.tools.documents.text import SeparatedValues

    return SeparatedValues(path, name, delimiter=delimiter)
