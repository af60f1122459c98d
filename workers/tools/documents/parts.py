"""What every format is read as: a numbered series of parts, each of which becomes Markdown on its own."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterator, Sequence
from typing import Literal, NotRequired, Protocol

# Pydantic, which brings steps' values back, knows the standard library's only from Python 3.12 on.
from typing_extensions import TypedDict

from workers.errors import ToolError

logger = logging.getLogger(__name__)

Trouble = Literal["scanned", "unmapped"]


class DocumentRefused(ToolError):
    """The file cannot be converted; the message says why, and what would help."""


@contextlib.contextmanager
def parsing(name: str) -> Generator[None]:
    """Around calls of parsers, which raise whatever they stumble over in a broken file."""
    try:
        yield
    except (ToolError, MemoryError):
        raise
    except Exception as error:
        logger.warning("cannot parse a document", exc_info=True)
        raise DocumentRefused(
            f"{name} is damaged, or uses something that is not understood here ({type(error).__name__}: {error}). "
            "Open it in the program it belongs to, save it anew, and send that copy."
        ) from error


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
