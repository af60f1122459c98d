"""Puts parts together to one Markdown file as they come, and counts what is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self, TextIO

from workers.tools.documents import markdown
from workers.tools.documents.parts import Part

PREVIEW_CHARACTERS = 2000
MAX_HEADINGS = 200
WORD = re.compile(r"\w+(?:[^\s\w]\w+)*")


@dataclass(slots=True)
class MarkdownWriter:
    """Writes to `file`; only the last part stays in memory, because the next may continue its paragraph.

    unit: put a comment with the number before each part, in this word; None for no comments.
    """

    file: TextIO
    unit: str | None = None
    characters: int = 0
    words: int = 0
    headings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    preview: str = ""
    _pending: str = ""
    _continues: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write(self._pending + "\n" if self._pending else "")
        self._pending = ""

    def add(self, number: int, part: Part) -> None:
        text = part["markdown"]
        if not text:
            return
        room = MAX_HEADINGS - len(self.headings)
        if room > 0:
            self.headings += [
                found for found, _ in zip(markdown.headings(text.splitlines()), range(room), strict=False)
            ]
        if self._continues and part.get("joins") and self.unit is None:
            self._pending = markdown.join_paragraph(self._pending, text)
        else:
            if self._pending:
                self._write(f"{self._pending}\n\n")
            self._pending = text if self.unit is None else f"<!-- {self.unit} {number} -->\n\n{text}"
        self._continues = part.get("continues", False)

    def _write(self, text: str) -> None:
        self.file.write(text)
        self.characters += len(text)
        self.words += len(WORD.findall(text))
        if len(self.preview) < PREVIEW_CHARACTERS:
            self.preview += text[: PREVIEW_CHARACTERS - len(self.preview)]
