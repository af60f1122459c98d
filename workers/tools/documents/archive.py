"""Checks on ZIP packages (DOCX, PPTX, XLSX, EPUB) before any parser unpacks them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.parsers import expat

from workers.tools.documents.parts import DocumentRefused

MAX_ENTRIES = 20_000
MAX_TOTAL_BYTES = 1024**3
MAX_XML_BYTES = 512 * 1024**2
# Repetitive XML reaches 100:1 in honest files; small members may be anything.
MAX_RATIO = 300
RATIO_FROM_BYTES = 10 * 1024**2
XML_SUFFIXES = (".xml", ".rels", ".opf", ".ncx", ".xhtml", ".vml")
PROLOG_BYTES = 64 * 1024


class _RootReached(Exception):
    pass


class _EntityDeclared(Exception):
    pass


def check_archive(path: Path, name: str) -> None:
    """Refuse what would blow up when unpacked, and XML that defines its own entities.

    What an entry claims to unpack to is what `zipfile` lets it unpack to, so the claims can be relied on.
    Raises DocumentRefused.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_sizes(entries, name)
            for entry in entries:
                if entry.flag_bits & 0x1:
                    raise DocumentRefused(f"{name} is encrypted. Send a copy without a password.")
                _check_prolog(archive, entry, name)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise DocumentRefused(f"{name} is damaged ({error}). Download or export it again.") from error


def _check_sizes(entries: list[zipfile.ZipInfo], name: str) -> None:
    if len(entries) > MAX_ENTRIES:
        raise DocumentRefused(
            f"{name} contains {len(entries):,} files; at most {MAX_ENTRIES:,} are accepted."
        )
    total = sum(entry.file_size for entry in entries)
    if total > MAX_TOTAL_BYTES:
        raise DocumentRefused(
            f"{name} would unpack to {total / 1024**3:.1f} GiB, which is refused. Split it."
        )
    for entry in entries:
        ratio = entry.file_size / max(1, entry.compress_size)
        if entry.file_size > RATIO_FROM_BYTES and ratio > MAX_RATIO:
            raise DocumentRefused(
                f"{name} is refused: {entry.filename} in it unpacks to {ratio:,.0f} times its size, as only files "
                "made to exhaust a reader do."
            )
        if entry.file_size > MAX_XML_BYTES and entry.filename.lower().endswith(XML_SUFFIXES):
            raise DocumentRefused(
                f"{name} is too large: {entry.filename} in it has {entry.file_size:,} bytes."
            )


def _check_prolog(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> None:
    """Entities can be declared only before the root element, so parsing stops there; at once, if it is no XML."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = _stop
    parser.EntityDeclHandler = _refuse
    try:
        with archive.open(entry) as file:
            while chunk := file.read(PROLOG_BYTES):
                parser.Parse(chunk, False)
    except _RootReached:
        return
    except _EntityDeclared:
        raise DocumentRefused(
            f"{name} is refused: {entry.filename} in it defines XML entities, which documents never need and "
            "attacks do."
        ) from None
    except expat.ExpatError:
        # A picture, or damaged: then the format's own parser says what it can make of it.
        return


def _stop(*_: object) -> None:
    raise _RootReached


def _refuse(*_: object) -> None:
    raise _EntityDeclared
