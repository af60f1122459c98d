"""What every format is read as: a numbered series of parts, each of which becomes Markdown on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NotRequired, Protocol

# Pydantic, which brings steps' values back, knows the standard library's only from Python 3.12 on.
from typing_extensions import TypedDict

from workers.errors import ToolError

Trouble = Literal["scanned", "unmapped"]


class DocumentRefused(ToolError):
    """The file cannot be converted; the message says why, and what would help."""


class Part(TypedDict):
    """One page, slide, sheet or chapter. JSON-shaped, because a retry gets it back from the record.

    joins: it starts in the middle of the paragraph with which the part before ended.
    continues: it ends in the middle of a paragraph. trouble: why its text is missing or doubtful.
    notes: warnings for the user, whole sentences.
    """

    markdown: str
    joins: NotRequired[bool]
    continues: NotRequired[bool]
    trouble: NotRequired[Trouble]
    notes: NotRequired[list[str]]


class Document(Protocol):
    """An opened document. Parts are numbered from 1, as people count pages.

    unit: what a part is called ("page"). batch: how many parts are worth remembering at once; 0 if converting
    again is cheaper than remembering.
    """

    unit: str
    batch: int
    title: str | None
    warnings: list[str]

    @property
    def count(self) -> int: ...

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        """The parts with these numbers, which are ascending, in this order."""
        ...

    def close(self) -> None: ...
