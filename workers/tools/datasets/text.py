"""Text in whatever encoding and compression it came, as a plain UTF-8 file."""

from __future__ import annotations

import codecs
import gzip
import itertools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from charset_normalizer import CharsetMatch, from_bytes

from workers.tools.datasets.limits import Limits, in_words
from workers.tools.datasets.refusal import DatasetRefused
from workers.tools.sources import LocalSource
from workers.units import count_of

CHUNK_BYTES = 1024 * 1024
SAMPLE_BYTES = 64 * 1024

_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_GUESSES: list[str] = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
]


@dataclass(frozen=True, slots=True)
class PlainText:
    """A UTF-8 file without a byte order mark, and what had to be decided to get it."""

    path: Path
    notes: list[str] = field(default_factory=list[str])


def plain_text(
    source: LocalSource, *, gzipped: bool, encoding: str | None, scratch: Path, limits: Limits
) -> PlainText:
    """The source as UTF-8: itself if it already is, otherwise a file in `scratch`.

    encoding: any text encoding Python knows; None finds it out. Raises DatasetRefused.
    """
    if encoding is not None:
        _check_encoding(encoding)
    head = next(_chunks(source, gzipped), b"")
    _refuse_binary(source, head)
    is_utf8 = _is_utf8(_chunks(source, gzipped))
    notes: list[str] = []
    found = encoding or _marked_encoding(head) or ("utf-8" if is_utf8 else None)
    if found is None:
        found = _guess_encoding(_chunks(source, gzipped))
        if found != "utf-8":
            notes.append(
                f"The file is not UTF-8 and was read as {found}, which is a guess; "
                "if accented characters look wrong, call again with `encoding`."
            )
    if is_utf8 and not gzipped and codecs.lookup(found).name == "utf-8":
        return PlainText(source.path, notes)
    path = scratch / "text.txt"
    replaced = _rewrite(_chunks(source, gzipped), found, path, limits)
    if replaced:
        are = "is" if replaced == 1 else "are"
        notes.append(
            f"{count_of(replaced, 'character')} {are} not valid {found} and became \N{REPLACEMENT CHARACTER}."
        )
    return PlainText(path, notes)


def unify_newlines(path: Path, scratch: Path) -> Path:
    r"""A copy in which every line ends in \n; CSV readers refuse a mixture of line ends."""
    copy = scratch / "lines.txt"
    with path.open(encoding="utf-8", errors="replace", newline=None) as file, copy.open("wb") as target:
        while chunk := file.read(CHUNK_BYTES):
            target.write(chunk.encode())
    return copy


def _chunks(source: LocalSource, gzipped: bool) -> Iterator[bytes]:
    try:
        with gzip.open(source.path) if gzipped else source.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetRefused(f"{source.name} is damaged: it cannot be decompressed ({error}).") from error


def _check_encoding(encoding: str) -> None:
    try:
        "".encode(encoding)
    except (LookupError, ValueError) as error:
        raise DatasetRefused(
            f"{encoding!r} is not a known text encoding. Write for instance utf-8, cp1252 or shift_jis."
        ) from error


def _marked_encoding(head: bytes) -> str | None:
    for mark, encoding in _BOMS.items():
        if head.startswith(mark):
            return encoding
    # ASCII in UTF-16 has a zero in every second byte.
    sample = head[:1024]
    if len(sample) >= 4 and len(sample) % 2 == 0:
        zeros = sample[1::2].count(0), sample[0::2].count(0)
        half = len(sample) // 2
        if zeros[0] > 0.7 * half and zeros[1] == 0:
            return "utf-16-le"
        if zeros[1] > 0.7 * half and zeros[0] == 0:
            return "utf-16-be"
    return None


def _refuse_binary(source: LocalSource, head: bytes) -> None:
    if _marked_encoding(head):
        return
    sample = head[:SAMPLE_BYTES]
    control = sum(sample.count(byte) for byte in range(32) if byte not in b"\t\n\r\x0b\x0c\x1b")
    if control > 0.05 * len(sample):
        raise DatasetRefused(
            f"{source.name} is not text and not a supported binary format. Supported are CSV, TSV, JSON, "
            "JSON Lines, Parquet and XLSX."
        )


def _is_utf8(chunks: Iterator[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _guess_encoding(chunks: Iterator[bytes]) -> str:
    """From the lines that hold anything but ASCII. UTF-8 with some damage stays UTF-8."""
    sample = b""
    for chunk in itertools.islice(chunks, 256):
        sample += b"\n".join(line for line in chunk.splitlines() if not line.isascii())
        if len(sample) >= SAMPLE_BYTES:
            break
    sample = sample[:SAMPLE_BYTES]
    as_utf8 = sample.decode("utf-8", errors="replace")
    damaged = as_utf8.count("\N{REPLACEMENT CHARACTER}")
    if sum(not character.isascii() for character in as_utf8) >= 2 * damaged:
        return "utf-8"
    # Figures and separators between few words make the detector give up; the words alone may tell it enough.
    words = b" ".join(word for word in re.findall(rb"[A-Za-z\x80-\xff]+", sample) if not word.isascii())
    best = _detected(sample) or _detected(words)
    if best is None or str(best) == bytes(best.raw).decode("cp1252", errors="replace"):
        return "cp1252"
    return best.encoding


def _detected(sample: bytes) -> CharsetMatch | None:
    return from_bytes(sample, cp_isolation=_GUESSES).best()


def _rewrite(chunks: Iterator[bytes], encoding: str, path: Path, limits: Limits) -> int:
    """How many characters had to be replaced."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    size = replaced = 0
    with path.open("wb") as target:
        for chunk in itertools.chain(chunks, [b""]):
            text = _decoded(decoder, chunk, encoding)
            replaced += text.count("\N{REPLACEMENT CHARACTER}")
            encoded = text.encode("utf-8", errors="replace")
            size += len(encoded)
            if size > limits.unpacked:
                raise DatasetRefused(
                    f"The dataset has more than {in_words(limits.unpacked)} of text once decompressed, which "
                    "is more than this tool accepts. Split it, or convert it to Parquet."
                )
            target.write(encoded)
    return replaced


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, encoding: str) -> str:
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeError as error:  # a few encodings ignore errors="replace"
        raise DatasetRefused(
            f"The file cannot be read as {encoding}: {error}. Try another encoding."
        ) from error
