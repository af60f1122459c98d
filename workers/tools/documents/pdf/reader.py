"""Reads a page out of PDFium: characters joined to words, with style, links and ruled lines.

PDFium is called through its C interface, because only that tells fonts, matrices and drawn paths.
"""

# The C bindings carry no types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from workers.tools.documents.pdf.drawings import read_drawings
from workers.tools.documents.pdf.page import PLAIN, SOFT_HYPHEN, PageContent, Style, Word
from workers.tools.documents.pdf.upright import Box, Upright

BOLD_WEIGHT = 700
NAMELESS = re.compile(r"^([a-z]{6}\+)?(cidfont\+)?[a-z]{0,3}_?\d*$")
FIXED_PITCH, ITALIC, FORCE_BOLD = 1 << 0, 1 << 6, 1 << 18
MONO_NAMES = ("courier", "mono", "consol", "menlo", "typewriter", "cmtt", "lmtt", "ectt", "sftt")
BOLD_NAMES = ("bold", "black", "heavy", "demi", "cmbx", "ecbx", "lmbx", "sfbx")
ITALIC_NAMES = ("italic", "oblique", "slanted", "cmti", "cmsl", "ecti", "sfti", "ecsl")
# How PDFium, and the files themselves, spell a hyphen that is there only because the line ends.
LINE_HYPHENS = frozenset({0x02, 0xAD, 0xFFFE})
LIGATURES = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
}
SPACES = frozenset({0x09, 0x0A, 0x0D, 0x20, 0xA0, 0x2002, 0x2003, 0x2009, 0x200B, 0x202F, 0x3000})
# Symbol fonts keep their bullets in the private use area.
PRIVATE_BULLETS = frozenset({0xF0B7, 0xF0A7, 0xF0D8, 0xF076, 0xF0FC, 0xF06E, 0xF0A8, 0xF0E0})
WORD_GAP_EM = 0.3
LIGATURE_EM = 1.2
MAX_LINKS = 500


@dataclass(slots=True)
class _Character:
    code: int
    x0: float
    top: float
    x1: float
    bottom: float
    baseline: float
    size: float
    style: Style


def read_page(document: pdfium.PdfDocument, index: int) -> PageContent:
    """Everything on the page that its layout is made from."""
    page = document[index]
    try:
        links = list(_links(document, page))
        if document.formenv and raw.FPDFPage_GetAnnotCount(page.raw) > len(links):
            # What was filled into form fields is drawn by annotations; flattening makes it text of the page.
            raw.FPDFPage_Flatten(page.raw, raw.FLAT_NORMALDISPLAY)
            page.close()
            page = document[index]
        textpage = page.get_textpage()
        try:
            quarter = _text_direction(textpage.raw)
            upright = Upright.of(page, quarter)
            characters, unmapped = _characters(textpage.raw, upright)
        finally:
            textpage.close()
        _apply_links(characters, [(upright.box(*box), uri) for box, uri in links if uri])
        words = list(_words(characters))
        rules, pictures = read_drawings(page, upright)
        share = min(1.0, pictures / max(1.0, upright.width * upright.height))
        return PageContent(upright.width, upright.height, words, rules, share, unmapped)
    finally:
        page.close()


def _text_direction(textpage: Any) -> int:
    """How many quarter turns (counter-clockwise, as PDF counts) most of the page's text is turned by."""
    count = raw.FPDFText_CountChars(textpage)
    turns = Counter[int]()
    for index in range(0, count, max(1, count // 200)):
        angle = raw.FPDFText_GetCharAngle(textpage, index)
        if angle >= 0:
            turns[round(angle / (math.pi / 2)) % 4] += 1
    return turns.most_common(1)[0][0] if turns else 0


def _characters(textpage: Any, upright: Upright) -> tuple[list[_Character], int]:
    """The characters that stand in the page's text direction, in the file's order; and how many are unmapped."""
    box, x, y = raw.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    fonts: dict[int, tuple[float, Style]] = {}
    found: list[_Character] = []
    unmapped = 0
    for index in range(max(0, raw.FPDFText_CountChars(textpage))):
        code = raw.FPDFText_GetUnicode(textpage, index)
        if code in SPACES:
            found.append(_Character(0x20, 0, 0, 0, 0, 0, 0, PLAIN))
            continue
        unmapped += raw.FPDFText_HasUnicodeMapError(textpage, index) == 1
        text_object = raw.FPDFText_GetTextObject(textpage, index)
        address = ctypes.addressof(text_object.contents) if text_object else 0
        if address not in fonts:
            fonts[address] = _font(textpage, index, text_object)
        size, style = fonts[address]
        angle = raw.FPDFText_GetCharAngle(textpage, index)
        if angle >= 0 and round(angle / (math.pi / 2)) % 4 != upright.quarter:
            continue
        raw.FPDFText_GetLooseCharBox(textpage, index, box)
        raw.FPDFText_GetCharOrigin(textpage, index, x, y)
        bounds = upright.box(box.left, box.bottom, box.right, box.top)
        found.append(_Character(code, *bounds, upright.point(x.value, y.value)[1], size, style))
    return found, unmapped


def _font(textpage: Any, index: int, text_object: Any) -> tuple[float, Style]:
    """The real size in points, with the text matrix applied, and the style."""
    matrix = raw.FS_MATRIX()
    size = raw.FPDFText_GetFontSize(textpage, index) or 10.0
    if raw.FPDFText_GetMatrix(textpage, index, matrix):
        size *= math.hypot(matrix.c, matrix.d) or 1.0
    font = raw.FPDFTextObj_GetFont(text_object) if text_object else None
    if not font:
        return size, PLAIN
    buffer = ctypes.create_string_buffer(256)
    raw.FPDFFont_GetBaseFontName(font, buffer, 256)
    name = buffer.value.decode("utf-8", "replace").lower()
    flags = max(0, raw.FPDFFont_GetFlags(font))
    bold = any(part in name for part in BOLD_NAMES) or bool(flags & FORCE_BOLD)
    if NAMELESS.match(name):
        # PDFium guesses the weight from the stems, often wrongly: it counts only where no name tells.
        bold = bold or raw.FPDFFont_GetWeight(font) >= BOLD_WEIGHT
    return size, Style(
        bold=bold,
        italic=any(part in name for part in ITALIC_NAMES) or bool(flags & ITALIC),
        mono=any(part in name for part in MONO_NAMES) or bool(flags & FIXED_PITCH),
    )


def _words(characters: list[_Character]) -> Iterator[Word]:
    """Join neighbours until a space, a gap, another line or another style."""
    word: Word | None = None
    spaced = True
    for character in characters:
        if character.code == 0x20:
            spaced = True
            continue
        touches = word is not None and not spaced and _touches(word, character)
        if word is None or not touches or not _alike(word, character):
            if word is not None and word.text:
                yield word
            word = Word(
                "", character.x0, character.top, character.x1, character.bottom, character.baseline,
                character.size, character.style, touches,
            )  # fmt: skip
        _append(word, character)
        spaced = False
    if word is not None and word.text:
        yield word


def _touches(word: Word, character: _Character) -> bool:
    """Whether the character follows without a space; the parts of a ligature share one box."""
    size = max(word.size, character.size)
    near = -LIGATURE_EM * size < character.x0 - word.x1 < WORD_GAP_EM * size
    return near and abs(character.baseline - word.baseline) < 0.6 * size


def _alike(word: Word, character: _Character) -> bool:
    size = max(word.size, character.size)
    return (
        character.style == word.style
        and abs(character.baseline - word.baseline) < 0.2 * size
        and abs(character.size - word.size) < 0.15 * size
    )


def _append(word: Word, character: _Character) -> None:
    code = character.code
    if code in LINE_HYPHENS:
        word.text += SOFT_HYPHEN
    elif code in PRIVATE_BULLETS:
        word.text += "•"
    elif code >= 0x20:
        word.text += LIGATURES.get(code) or chr(code)
    word.x1 = max(word.x1, character.x1)
    word.top = min(word.top, character.top)
    word.bottom = max(word.bottom, character.bottom)


def _links(document: pdfium.PdfDocument, page: pdfium.PdfPage) -> Iterator[tuple[Box, str]]:
    position, link, rect = ctypes.c_int(0), raw.FPDF_LINK(), raw.FS_RECTF()
    for _ in range(MAX_LINKS):
        if not raw.FPDFLink_Enumerate(page.raw, position, link):
            return
        action = raw.FPDFLink_GetAction(link)
        if not raw.FPDFLink_GetAnnotRect(link, rect):
            continue
        uri = _uri(document, action) if action else ""
        yield (rect.left, rect.bottom, rect.right, rect.top), uri


def _uri(document: pdfium.PdfDocument, action: Any) -> str:
    """The action's URI, or nothing when it leads elsewhere (into the document, to a program)."""
    if raw.FPDFAction_GetType(action) != raw.PDFACTION_URI:
        return ""
    length = raw.FPDFAction_GetURIPath(document.raw, action, None, 0)
    buffer = ctypes.create_string_buffer(length)
    raw.FPDFAction_GetURIPath(document.raw, action, buffer, length)
    uri = buffer.value.decode("utf-8", "replace").strip()
    return uri if uri.lower().startswith(("http://", "https://", "mailto:", "ftp://", "tel:")) else ""


def _apply_links(characters: list[_Character], links: list[tuple[Box, str]]) -> None:
    """By character, because the full stop behind a linked word is not part of the link."""
    for (x0, top, x1, bottom), uri in links:
        for character in characters:
            across = (character.x0 + character.x1) / 2
            if x0 <= across <= x1 and top <= (character.top + character.bottom) / 2 <= bottom:
                character.style = replace(character.style, link=uri)
