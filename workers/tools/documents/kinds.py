"""Which format a file has: by what is in it first, by its name second."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from workers.tools.documents.parts import DocumentRefused
from workers.tools.documents.text import decode

HEAD_BYTES = 8192
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
IMAGES = {
    b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"BM": "BMP",
}  # fmt: skip
CONVERT_FIRST = "Open it in an office program, save it as {}, and send that."


class Kind(StrEnum):
    """The formats that can be converted, in the words of the result."""

    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    HTML = "html"
    EPUB = "epub"
    MARKDOWN = "markdown"
    CSV = "csv"
    TSV = "tsv"
    TEXT = "text"


LABELS = {
    Kind.PDF: "a PDF", Kind.DOCX: "a Word document", Kind.PPTX: "a PowerPoint presentation",
    Kind.XLSX: "an Excel workbook", Kind.HTML: "an HTML page", Kind.EPUB: "an EPUB book",
    Kind.MARKDOWN: "Markdown", Kind.CSV: "comma-separated values", Kind.TSV: "tab-separated values",
    Kind.TEXT: "plain text",
}  # fmt: skip
SUFFIXES = {
    ".pdf": Kind.PDF, ".docx": Kind.DOCX, ".docm": Kind.DOCX, ".pptx": Kind.PPTX, ".pptm": Kind.PPTX,
    ".xlsx": Kind.XLSX, ".xlsm": Kind.XLSX, ".html": Kind.HTML, ".htm": Kind.HTML, ".xhtml": Kind.HTML,
    ".epub": Kind.EPUB, ".md": Kind.MARKDOWN, ".markdown": Kind.MARKDOWN, ".csv": Kind.CSV, ".tsv": Kind.TSV,
    ".tab": Kind.TSV, ".txt": Kind.TEXT, ".text": Kind.TEXT, ".log": Kind.TEXT,
}  # fmt: skip
MEDIA_TYPES = {"text/markdown": Kind.MARKDOWN, "text/csv": Kind.CSV, "text/tab-separated-values": Kind.TSV}
TEXTS = frozenset({Kind.MARKDOWN, Kind.CSV, Kind.TSV, Kind.TEXT})
# Content types of a package's main part; macros are not run, so macro-enabled files are as good.
MAIN_PARTS = {
    "wordprocessingml.document.main+xml": Kind.DOCX, "wordprocessingml.template.main+xml": Kind.DOCX,
    "ms-word.document.macroenabled.main+xml": Kind.DOCX, "presentationml.presentation.main+xml": Kind.PPTX,
    "ms-powerpoint.presentation.macroenabled.main+xml": Kind.PPTX, "spreadsheetml.sheet.main+xml": Kind.XLSX,
    "ms-excel.sheet.macroenabled.main+xml": Kind.XLSX, "spreadsheetml.template.main+xml": Kind.XLSX,
}  # fmt: skip
OTHER_MAIN_PARTS = {
    "presentationml.slideshow.main+xml": ("a PowerPoint slide show", "PPTX"),
    "presentationml.template.main+xml": ("a PowerPoint template", "PPTX"),
    "ms-excel.sheet.binary": ("a binary Excel workbook (.xlsb)", "XLSX"),
}


@dataclass(frozen=True, slots=True)
class Detected:
    """A format, and a warning when the name promised another one."""

    kind: Kind
    warning: str | None = None


def detect(path: Path, name: str, media_type: str | None) -> Detected:
    """The format of the file, whose content wins over its name.

    Raises DocumentRefused for files of no convertible format, each with what to do about it.
    """
    promised = SUFFIXES.get(Path(name).suffix.lower()) or MEDIA_TYPES.get(media_type or "")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise DocumentRefused(f"{name} is empty: there is nothing to convert.")
    kind = _by_content(path, head, name, media_type, promised)
    if promised is None or kind == promised or {kind, promised} <= TEXTS:
        return Detected(kind)
    return Detected(
        kind, f"The name says {LABELS[promised]}, but the content is {LABELS[kind]}; it was read as that."
    )


def _by_content(path: Path, head: bytes, name: str, media_type: str | None, promised: Kind | None) -> Kind:
    # Readers accept a PDF header anywhere in the first kilobyte, but so may a text that speaks of one.
    if head.lstrip().startswith(b"%PDF-") or (b"%PDF-" in head[:1024] and promised in (None, Kind.PDF)):
        return Kind.PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _by_members(path, name)
    _refuse_known(path, head, name)
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")) and decode(head) is None:
        raise DocumentRefused(f"{name} is a binary file of a format that is not known here. {_supported()}")
    if _looks_like_html(head):
        return Kind.HTML
    if promised is not None and promised in TEXTS:
        return promised
    if promised is not None and promised is not Kind.HTML:
        raise DocumentRefused(
            f"{name} is called {promised.value.upper()} but is not {LABELS[promised]}: it is damaged, incomplete, or "
            "was saved under the wrong name. Download or export it again."
        )
    if media_type in ("text/html", "application/xhtml+xml") or promised is Kind.HTML:
        return Kind.HTML
    return Kind.TEXT


def _by_members(path: Path, name: str) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "mimetype" in names:
                mimetype = _head(archive, "mimetype", 200).decode("ascii", "replace").strip()
                if mimetype == "application/epub+zip":
                    return Kind.EPUB
                if mimetype.startswith("application/vnd.oasis.opendocument"):
                    raise DocumentRefused(
                        f"{name} is an OpenDocument file, which is not read here. "
                        + CONVERT_FIRST.format("DOCX, XLSX, PPTX or PDF")
                    )
            if "[Content_Types].xml" in names:
                return _by_content_types(_head(archive, "[Content_Types].xml", 1024 * 1024), name)
            if "META-INF/container.xml" in names:
                return Kind.EPUB
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise DocumentRefused(
            f"{name} is damaged: it begins like an office document or book, but cannot be opened ({error}). "
            "Download or export it again."
        ) from error
    raise DocumentRefused(f"{name} is a ZIP archive. Unpack it and send the documents one by one.")


def _head(archive: zipfile.ZipFile, member: str, size: int) -> bytes:
    with archive.open(member) as file:
        return file.read(size)


def _by_content_types(content: bytes, name: str) -> Kind:
    text = content.decode("utf-8", "replace").lower()
    for marker, kind in MAIN_PARTS.items():
        if marker in text:
            return kind
    for marker, (label, target) in OTHER_MAIN_PARTS.items():
        if marker in text:
            raise DocumentRefused(
                f"{name} is {label}, which is not read here. {CONVERT_FIRST.format(target)}"
            )
    raise DocumentRefused(f"{name} is an office file of a kind that is not known here. {_supported()}")


def _refuse_known(path: Path, head: bytes, name: str) -> None:
    """Formats that are recognised in order to say what to do about them."""
    if head.startswith(OLE):
        if ENCRYPTED_STREAM in path.read_bytes():
            raise DocumentRefused(
                f"{name} is encrypted with a password, which must not be sent through here. Open it where the "
                "password is known, remove the protection (File, Info, Protect), save it, and send that copy."
            )
        raise DocumentRefused(
            f"{name} is in the old binary format of Office (.doc, .xls, .ppt), which is not read here. "
            + CONVERT_FIRST.format("DOCX, XLSX or PPTX")
        )
    image = next((label for magic, label in IMAGES.items() if head.startswith(magic)), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        image = "WebP"
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
        image = "HEIF"
    if image and not (image == "BMP" and decode(head) is not None):
        raise DocumentRefused(
            f"{name} is a picture ({image}). Text in pictures is not recognised here; run it through OCR first."
        )
    if head.startswith(b"{\\rtf"):
        raise DocumentRefused(
            f"{name} is an RTF file, which is not read here. {CONVERT_FIRST.format('DOCX')}"
        )
    if head.startswith((b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")):
        raise DocumentRefused(f"{name} is a compressed file. Unpack it and send the documents one by one.")
    if head.startswith(b"%!PS"):
        raise DocumentRefused(
            f"{name} is a PostScript file, which is not read here. Convert it to PDF first."
        )


def _looks_like_html(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = (decode(head) or ("", ""))[0].lstrip("\ufeff \t\r\n").lower().encode()
    while start.startswith((b"<?xml", b"<!--")):
        _, _, start = start.partition(b">")
        start = start.lstrip()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def _supported() -> str:
    return "PDF, DOCX, PPTX, XLSX, HTML, EPUB, Markdown, CSV and plain text can be converted."
