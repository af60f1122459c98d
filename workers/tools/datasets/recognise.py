"""What kind of dataset a file is: by its first bytes, then by its name and media type."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from workers.tools.datasets.refusal import DatasetRefused
from workers.tools.sources import LocalSource

HEAD_BYTES = 64 * 1024
HOLDS_NOTHING = "Write or download it again, and send a table with a header and rows."
ACCEPTED = "CSV, TSV, JSON, JSON Lines (each also gzipped), Parquet and XLSX"


class Format(StrEnum):
    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    PARQUET = "parquet"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class Recognised:
    """format JSON is both JSON Lines and JSON arrays."""

    format: Format
    gzipped: bool = False


_OTHER_KINDS = {
    b"%PDF": "a PDF document",
    b"SQLite format 3\0": "an SQLite database",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\xfd7zXZ\0": "an XZ archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"ARROW1": "an Arrow (Feather) file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"\x89HDF": "an HDF5 file",
}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")

_BY_SUFFIX = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSON,
    ".ndjson": Format.JSON,
}
_BY_MEDIA_TYPE = {
    "text/csv": Format.CSV,
    "application/csv": Format.CSV,
    "text/tab-separated-values": Format.TSV,
    "application/json": Format.JSON,
    "application/jsonl": Format.JSON,
    "application/x-ndjson": Format.JSON,
    "application/x-jsonlines": Format.JSON,
}


def recognise(source: LocalSource) -> Recognised:
    """Raises DatasetRefused for an empty file and for kinds that are not supported."""
    with source.path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise DatasetRefused(f"{source.name} is empty (0 bytes). {HOLDS_NOTHING}")
    if head.startswith(b"\x1f\x8b"):
        return Recognised(_text_format(source, _gunzipped_head(source)), gzipped=True)
    if head.startswith((b"PAR1", b"PARE")):
        return Recognised(Format.PARQUET)
    if head.startswith(b"PK\x03\x04"):
        return _zipped(source)
    if head.startswith(_OLE):
        raise _refused_ole(source, head)
    return Recognised(_text_format(source, head))


def _text_format(source: LocalSource, head: bytes) -> Format:
    for magic, kind in _OTHER_KINDS.items():
        if head.startswith(magic):
            raise DatasetRefused(f"{source.name} is {kind}. Supported are {ACCEPTED}.")
    if not head.strip(b"\0 \t\r\n"):
        raise DatasetRefused(f"{source.name} is empty: it holds nothing but blanks. {HOLDS_NOTHING}")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:15].lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        raise DatasetRefused(
            f"{source.name} is a web page or XML, not a dataset. Supported are {ACCEPTED}; if it came from a "
            "URL, use the address of the file itself rather than of the page that shows it."
        )
    declared = _declared(source)
    if declared in (".parquet", ".xlsx", ".xlsm"):
        raise DatasetRefused(
            f"{source.name} is damaged: its content is not that of a {declared[1:]} file. Save or download it again."
        )
    known = _BY_SUFFIX.get(declared) or _BY_MEDIA_TYPE.get(source.media_type or "")
    return known or (Format.JSON if text.startswith((b"{", b"[")) else Format.CSV)


def _declared(source: LocalSource) -> str:
    name = PurePath(source.name.lower())
    return PurePath(name.stem).suffix if name.suffix == ".gz" else name.suffix


def _gunzipped_head(source: LocalSource) -> bytes:
    try:
        with gzip.open(source.path) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetRefused(
            f"{source.name} is damaged: it cannot be decompressed ({error}). Write or download it again."
        ) from error
    if head.startswith((b"PAR1", b"PK\x03\x04")):
        raise DatasetRefused(f"{source.name} is a gzipped Parquet or XLSX file. Send it without gzip.")
    if not head:
        raise DatasetRefused(f"{source.name} is empty: nothing is left after decompression. {HOLDS_NOTHING}")
    return head


def _zipped(source: LocalSource) -> Recognised:
    try:
        with zipfile.ZipFile(source.path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise DatasetRefused(f"{source.name} is damaged: {error}. Save or download it again.") from error
    if "xl/workbook.xml" in names:
        return Recognised(Format.XLSX)
    if "xl/workbook.bin" in names:
        raise DatasetRefused(f"{source.name} is a binary workbook (.xlsb). Save it as .xlsx.")
    raise DatasetRefused(
        f"{source.name} is a ZIP archive but not an XLSX workbook. Send the dataset inside it; supported are "
        f"{ACCEPTED}."
    )


def _refused_ole(source: LocalSource, head: bytes) -> DatasetRefused:
    if _ENCRYPTED_PACKAGE in head or source.name.lower().endswith(".xlsx"):
        return DatasetRefused(f"{source.name} is protected by a password. Save it without one.")
    return DatasetRefused(f"{source.name} is an old binary Excel or Office file. Save it as .xlsx.")
