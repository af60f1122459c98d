"""Which font draws a text. Inter comes with this package; scripts it lacks take a font of the system, if any."""

from __future__ import annotations

import functools
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

FONTS = Path(__file__).parent / "fonts"
REGULAR = "Inter-Regular.ttf"
BOLD = "Inter-SemiBold.ttf"
MAX_CHARACTERS = 300

# Found by name in the system's font directories, first match first.
_WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "SourceHanSans-Regular.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "Arial Unicode.ttf",
    "DejaVuSans.ttf",
)
_NO_CHARACTER = "\uffff"


def printable(text: str) -> str:
    """One line of what a font can draw; long texts are cut anyway."""
    shown = " ".join(text[:MAX_CHARACTERS].split())
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in shown
    )


def cut(text: str, font: FreeTypeFont, width: float) -> str:
    """As much of the text as fits into `width` pixels, with an ellipsis if that is not all."""
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle].rstrip() + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def font_for(text: str, size: int, bold: bool) -> FreeTypeFont:
    """size: in pixels."""
    own = _own_font(size, bold)
    if all(_has(character) for character in text):
        return own
    return _wide_font(size) or own


@functools.cache
def _own_font(size: int, bold: bool) -> FreeTypeFont:
    return ImageFont.truetype(str(FONTS / (BOLD if bold else REGULAR)), size)


@functools.cache
def _wide_font(size: int) -> FreeTypeFont | None:
    for name in _WIDE_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


@functools.cache
def _has(character: str) -> bool:
    """Whether Inter has a glyph of its own for it, rather than the box for missing ones."""
    return character.isascii() or _shape(character) != _shape(_NO_CHARACTER)


def _shape(character: str) -> bytes:
    mask = Image.new("L", (40, 40))
    ImageDraw.Draw(mask).text((4, 4), character, fill=255, font=_own_font(16, bold=False))
    return mask.tobytes()
