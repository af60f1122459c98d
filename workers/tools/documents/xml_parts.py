"""XML members of packages, with the standard library's parser.

`check_archive` has refused packages that declare entities, and expat bounds what entities may expand to.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, ParseError

CHUNK_BYTES = 1024 * 1024
OVERLAP_BYTES = 64
DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"

__all__ = ["DC_TITLE", "Element", "ParseError", "chunks", "core_title", "elements", "read_xml"]


def read_xml(archive: zipfile.ZipFile, member: str) -> Element:
    """The root of a member. Raises KeyError for one that is not there, ParseError for one that is no XML."""
    return ElementTree.fromstring(archive.read(member))  # noqa: S314


def elements(archive: zipfile.ZipFile, member: str, wanted: str, discard: str) -> Iterator[Element]:
    """The elements of one kind in a member too large to hold; the children of `discard` are dropped as read."""
    holder: Element | None = None
    with archive.open(member) as stream:
        for event, element in ElementTree.iterparse(stream, events=("start", "end")):  # noqa: S314
            if event == "start":
                holder = element if element.tag == discard else holder
            elif element.tag == wanted:
                yield element
            elif holder is not None and element in holder:
                holder.clear()


def chunks(archive: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    """A member piece by piece, each overlapping the one before, for searching."""
    tail = b""
    with archive.open(member) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield tail + chunk
            tail = chunk[-OVERLAP_BYTES:]


def core_title(path: Path) -> str | None:
    """The title in an Office package's core properties."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = read_xml(archive, "docProps/core.xml").findtext(DC_TITLE)
    except (KeyError, ParseError, zipfile.BadZipFile):
        return None
    return (text or "").strip() or None
