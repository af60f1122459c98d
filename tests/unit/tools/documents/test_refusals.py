from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from tests.unit.tools.documents import samples
from tests.unit.tools.documents.conftest import Convert
from workers.tools.documents import archive

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.pdf", b"", "is empty"),
        ("blank.txt", b" \n\t", "is empty"),
        ("old.doc", OLE, "old binary format of Office"),
        ("locked.docx", OLE + "EncryptedPackage".encode("utf-16-le"), "encrypted with a password"),
        ("photo.pdf", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "is a picture (PNG)"),
        ("photo.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 50, "is a picture (JPEG)"),
        ("note.rtf", b"{\\rtf1 hello}", "is an RTF file"),
        ("all.gz", b"\x1f\x8b\x08" + b"\0" * 50, "is a compressed file"),
        ("page.ps", b"%!PS-Adobe-3.0\n", "is a PostScript file"),
        ("thing.bin", bytes(range(256)) * 8, "is a binary file"),
        ("fake.pdf", b"just text, no PDF", "is called PDF but is not a PDF"),
        ("cut.docx", b"PK\x03\x04" + b"\0" * 100, "is damaged"),
    ],
)
async def test_what_cannot_be_converted_is_refused_with_its_own_reason(
    room: Path, convert: Convert, name: str, content: bytes, expected: str
) -> None:
    (room / name).write_bytes(content)
    assert expected in (await convert(name)).error


def package(path: Path, **members: str | bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/"), content)


async def test_archives_that_are_no_documents_are_told_apart(room: Path, convert: Convert) -> None:
    package(room / "a.zip", **{"a.txt": "x"})
    assert "is a ZIP archive" in (await convert("a.zip")).error
    package(room / "a.odt", mimetype="application/vnd.oasis.opendocument.text")
    assert "is an OpenDocument file" in (await convert("a.odt")).error
    package(
        room / "a.xlsb", **{"[Content_Types].xml": "application/vnd.ms-excel.sheet.binary.macroEnabled.main"}
    )
    assert "binary Excel workbook" in (await convert("a.xlsb")).error


async def test_the_content_wins_over_the_name_and_the_caller_is_told(room: Path, convert: Convert) -> None:
    samples.word(room / "handbook.docx").rename(room / "handbook.pdf")
    done = await convert("handbook.pdf")
    assert done.converted["format"] == "docx"
    assert "The name says a PDF, but the content is a Word document" in done.warnings


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
async def test_a_broken_package_is_refused_as_damaged(room: Path, convert: Convert, name: str) -> None:
    {"a.docx": samples.word, "a.pptx": samples.slides, "a.xlsx": samples.workbook}[name](room / name)
    kept = {}
    with zipfile.ZipFile(room / name) as whole:
        kept = {member: whole.read(member) for member in whole.namelist()}
    with zipfile.ZipFile(room / name, "w") as file:
        for member, content in kept.items():
            is_main = member in ("word/document.xml", "ppt/presentation.xml", "xl/workbook.xml")
            file.writestr(member, content[: len(content) // 2] if is_main else content)
    assert "is damaged" in (await convert(name)).error


@pytest.mark.parametrize("member", ["[Content_Types].xml", "mimetype"])
async def test_a_member_that_cannot_be_unpacked_is_damage(room: Path, convert: Convert, member: str) -> None:
    path = room / "a.docx"
    package(path, **{member: TYPES * 20})
    raw = bytearray(path.read_bytes())
    raw[30 + len(member) + 2] ^= 0xFF
    path.write_bytes(raw)
    assert "damaged" in (await convert("a.docx")).error


async def test_a_member_that_unpacks_to_hundreds_of_times_its_size_is_refused(
    room: Path, convert: Convert
) -> None:
    package(room / "bomb.docx", **{"[Content_Types].xml": TYPES, "word/document.xml": b" " * 20 * 1024**2})
    assert "times its size" in (await convert("bomb.docx")).error


async def test_too_many_members_are_refused(
    room: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 10)
    package(room / "many.docx", **{"[Content_Types].xml": TYPES, **{f"m{n}": "" for n in range(10)}})
    assert "contains 11 files" in (await convert("many.docx")).error


async def test_members_that_are_too_large_together_are_refused(
    room: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1000)
    package(room / "large.docx", **{"[Content_Types].xml": TYPES, "a": "x" * 600, "b": "x" * 600})
    assert "would unpack to" in (await convert("large.docx")).error


async def test_a_member_cannot_unpack_to_more_than_it_claims(room: Path, convert: Convert) -> None:
    """The checks rely on the sizes in the archive's directory, so a lying one must not help."""
    path = samples.word(room / "liar.docx")
    raw = bytearray(path.read_bytes())
    place = raw.index(b"word/document.xml", raw.index(b"PK\x01\x02")) - 46
    struct.pack_into("<I", raw, place + 24, 100)
    struct.pack_into("<I", raw, place + 16, zlib.crc32(b"whatever"))
    path.write_bytes(raw)
    assert "damaged" in (await convert("liar.docx")).error


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_xml_with_entities_of_its_own_is_refused(room: Path, convert: Convert, encoding: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{encoding}"?><!-- <a> -->'
    attack = f'{declaration}<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><d>&b;</d>'
    package(
        room / "attack.docx", **{"[Content_Types].xml": TYPES, "word/document.xml": attack.encode(encoding)}
    )
    assert "defines XML entities" in (await convert("attack.docx")).error


async def test_a_book_with_entities_is_refused_but_a_doctype_is_none(room: Path, convert: Convert) -> None:
    samples.book(room / "fine.epub", "<p>fine</p>")
    assert (await convert("fine.epub")).markdown == "fine\n"
    samples.book(
        room / "bad.epub",
        "<p>x</p>",
        extra={"a.opf": '<!DOCTYPE d [<!ENTITY % x SYSTEM "file:///etc/passwd">]><d/>'},
    )
    assert "defines XML entities" in (await convert("bad.epub")).error


async def test_an_oversized_file_is_refused_before_it_is_read(
    room: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKS_MAX_SOURCE_BYTES", "1000")
    (room / "large.txt").write_bytes(b"x" * 1001)
    assert (
        "The source has 1,001 bytes; at most 1,000 bytes are accepted here."
        in (await convert("large.txt")).error
    )


async def test_a_document_without_text_is_refused(room: Path, convert: Convert) -> None:
    (room / "a.html").write_text("<html><body><script>x</script></body></html>")
    assert "contains no text" in (await convert("a.html")).error


async def test_a_setting_that_cannot_be_read_is_named(
    room: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    (room / "a.txt").write_text("text")
    monkeypatch.setenv("TASKS_MAX_SOURCE_BYTES", "many")
    assert (await convert("a.txt")).error.startswith("TASKS_MAX_SOURCE_BYTES: ")
