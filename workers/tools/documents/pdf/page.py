"""A page as the layout sees it: words, ruled lines and how much of it is pictures.

Coordinates are points; x grows to the right and y grows downwards, whatever the page's rotation is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SOFT_HYPHEN = "\u00ad"


@dataclass(frozen=True, slots=True)
class Style:
    """How text looks, as far as Markdown can say it. raised: set small and above the line."""

    bold: bool = False
    italic: bool = False
    mono: bool = False
    raised: bool = False
    link: str | None = None


PLAIN = Style()


@dataclass(slots=True)
class Word:
    """Characters without a space between them.

    glued: nothing stands between this and the word before it; only the style changes.
    A soft hyphen at the end marks a word that goes on in the next line.
    """

    text: str
    x0: float
    top: float
    x1: float
    bottom: float
    baseline: float
    size: float
    style: Style = PLAIN
    glued: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight ruled line, horizontal (top == bottom) or vertical (x0 == x1)."""

    x0: float
    top: float
    x1: float
    bottom: float

    @property
    def is_horizontal(self) -> bool:
        return self.top == self.bottom


@dataclass(slots=True)
class PageContent:
    """One page.

    picture_share: the part of the page's area under pictures, 0 to 1. unmapped: how many characters are drawn
    whose meaning the file does not tell.
    """

    width: float
    height: float
    words: list[Word] = field(default_factory=list[Word])
    rules: list[Rule] = field(default_factory=list[Rule])
    picture_share: float = 0.0
    unmapped: int = 0
