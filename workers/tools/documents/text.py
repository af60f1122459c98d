"""Text files, Markdown and separated values."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from charset_normalizer import from_bytes

from workers.tools.documents import markdown
from workers.tools.documents.parts import DocumentRefused, Part

BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
SAMPLE_BYTES = 256 * 1024
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MAX_CONTROL_SHARE = 0.01
MAX_CELLS = 2_000_000
CODE_SUFFIXES = {
    ".json": "json", ".xml": "xml", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".ini": "ini",
    ".py": "python", ".js": "javascript", ".ts": "typescript", ".sh": "sh", ".sql": "sql", ".c": "c",
    ".java": "java", ".go": "go", ".rs": "rust", ".css": "css", ".tex": "latex",
}  # fmt: skip


def decode(content: bytes) -> tuple[str, str] | None:
    """The text and the encoding it was read in, or None when it is no text.

    A byte order mark decides, then UTF-8 if it fits, then what the letters look like.
    """
    for mark, encoding in BOMS:
        if content.startswith(mark):
            return content.decode(encoding, "replace"), encoding
    try:
        return _checked(content.decode("utf-8"), "utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start > len(content) - 4:
            return _checked(content[: error.start].decode("utf-8"), "utf-8")
    best = from_bytes(content[:SAMPLE_BYTES]).best()
    if best is None:
        return None
    # Of the encodings that fit equally well, the one that most files without a declaration are in.
    encoding = "cp1252" if "cp1252" in best.could_be_from_charset else best.encoding
    return _checked(content.decode(encoding, "replace"), encoding)


def _checked(text: str, encoding: str) -> tuple[str, str] | None:
    if len(CONTROL.findall(text)) > MAX_CONTROL_SHARE * len(text):
        return None
    return text, encoding


def read_text(path: Path, name: str) -> tuple[str, list[str]]:
    """The file's text, and a warning when its encoding had to be guessed."""
    decoded = decode(path.read_bytes())
    if decoded is None:
        raise DocumentRefused(f"{name} is not text in any known encoding. Save it as UTF-8 and send that.")
    text, encoding = decoded
    guessed = encoding not in ("utf-8", "utf-8-sig", "utf-16", "ascii")
    warnings = [f"The file does not tell its encoding; it was read as {encoding}."] if guessed else []
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")), warnings


class TextDocument:
    """Plain text and Markdown go through as they are; other text formats into a code block."""

    unit = "part"
    batch = 0
    count = 1

    def __init__(self, path: Path, name: str, *, is_markdown: bool) -> None:
        self._text, self.warnings = read_text(path, name)
        self._language = None if is_markdown else CODE_SUFFIXES.get(Path(name).suffix.lower())
        lines = self._text.splitlines() if is_markdown else []
        self.title = next((text for level, text in markdown.headings(lines) if level == 1), None)

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        text = self._text.strip("\n")
        if self._language is not None:
            text = markdown.fence(text, self._language)
        yield Part(markdown=text)

    def close(self) -> None:
        pass


class SeparatedValues:
    """CSV and TSV as one table, its first row taken for the header."""

    unit = "part"
    batch = 0
    count = 1

    def __init__(self, path: Path, name: str, *, delimiter: str | None) -> None:
        self.title: str | None = None
        self._text, self.warnings = read_text(path, name)
        self._delimiter = delimiter or _sniff(self._text)

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        # One value may be as long as the file is.
        csv.field_size_limit(max(csv.field_size_limit(), len(self._text) + 1))
        reader = csv.reader(self._text.splitlines(keepends=True), delimiter=self._delimiter)
        rows = [[markdown.escape(value) for value in row] for row in reader if any(row)]
        if not rows:
            yield Part(markdown="")
            return
        width = max(map(len, rows))
        kept = list(islice(rows, max(1, MAX_CELLS // width)))
        notes = [
            f"Only the first {len(kept):,} of {len(rows):,} rows were converted; use query_dataset for the rest."
        ]
        yield Part(markdown=markdown.table(kept), notes=notes if len(kept) < len(rows) else [])

    def close(self) -> None:
        pass


def _sniff(text: str) -> str:
    sample = "\n".join(text.splitlines()[:50])
    try:
        return csv.Sniffer().sniff(sample, delimiters=",;\t|").delimiter
    except csv.Error:
        return ","
