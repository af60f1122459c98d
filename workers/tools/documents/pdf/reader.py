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
from typing import Any, Self

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from workers.tools.documents.pdf.page import PLAIN, SOFT_HYPHEN, PageContent, Rule, Style, Word

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
MAX_RULE_THICKNESS = 2.5
MIN_RULE_LENGTH = 5.0
MAX_PATHS = 4000
MAX_LINKS = 500

Box = tuple[float, float, float, float]


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


@dataclass(frozen=True, slots=True)
class _Upright:
    """Turns PDF coordinates (y up, text at `quarter` right angles) into upright ones (y down)."""

    left: float
    bottom: float
    width: float
    height: float
    quarter: int

    @classmethod
    def of(cls, page: pdfium.PdfPage, quarter: int) -> Self:
        box: Any = page.get_cropbox()
        left, bottom, right, top = box
        across, along = abs(right - left), abs(top - bottom)
        if quarter % 2:
            across, along = along, across
        return cls(min(left, right), min(bottom, top), across, along, quarter)

    def point(self, x: float, y: float) -> tuple[float, float]:
        x, y = x - self.left, y - self.bottom
        if self.quarter == 0:
            return x, self.height - y
        if self.quarter == 1:
            return y, x
        if self.quarter == 2:
            return self.width - x, y
        return self.width - y, self.height - x

    def box(self, x0: float, y0: float, x1: float, y1: float) -> Box:
        a, b = self.point(x0, y0)
        c, d = self.point(x1, y1)
        return min(a, c), min(b, d), max(a, c), max(b, d)


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
            upright = _Upright.of(page, quarter)
            characters, unmapped = _characters(textpage.raw, upright)
        finally:
            textpage.close()
        _apply_links(characters, [(upright.box(*box), uri) for box, uri in links if uri])
        words = list(_words(characters))
        rules, pictures = _drawings(page, upright)
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


def _characters(textpage: Any, upright: _Upright) -> tuple[list[_Character], int]:
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


def _drawings(page: pdfium.PdfPage, upright: _Upright) -> tuple[list[Rule], float]:
    """The ruled lines of the page, and the area of its pictures."""
    rules: list[Rule] = []
    pictures = 0.0
    objects: Any = page.get_objects(max_depth=3)
    for number, item in enumerate(objects):
        if number > MAX_PATHS:
            break
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            x0, top, x1, bottom = upright.box(*item.get_bounds())
            pictures += (x1 - x0) * (bottom - top)
        elif item.type == raw.FPDF_PAGEOBJ_PATH and item.level == 0:
            rules.extend(_rules(item, upright))
    return rules, pictures


def _rules(item: Any, upright: _Upright) -> Iterator[Rule]:
    """The straight lines of one path: a thin bar as a whole, else its stroked horizontal and vertical edges."""
    box = upright.box(*item.get_bounds())
    bar = _bar(*box)
    if bar is not None:
        yield bar
        return
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(item.raw, fill, stroke)
    count = raw.FPDFPath_CountSegments(item.raw)
    if not stroke.value or count > MAX_PATHS:
        return
    matrix = item.get_matrix()
    x, y = ctypes.c_float(), ctypes.c_float()
    start = last = (0.0, 0.0)
    for index in range(count):
        segment = raw.FPDFPath_GetPathSegment(item.raw, index)
        kind = raw.FPDFPathSegment_GetType(segment)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        point = upright.point(*matrix.on_point(x.value, y.value))
        if kind == raw.FPDF_SEGMENT_LINETO:
            edges = [(last, point)]
        else:
            start, edges = point, []
        if raw.FPDFPathSegment_GetClose(segment):
            edges.append((point, start))
        for (ax, ay), (bx, by) in edges:
            edge = _bar(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
            if edge is not None:
                yield edge
        last = point


def _bar(x0: float, top: float, x1: float, bottom: float) -> Rule | None:
    if bottom - top <= MAX_RULE_THICKNESS and x1 - x0 >= MIN_RULE_LENGTH:
        middle = (top + bottom) / 2
        return Rule(x0, middle, x1, middle)
    if x1 - x0 <= MAX_RULE_THICKNESS and bottom - top >= MIN_RULE_LENGTH:
        middle = (x0 + x1) / 2
        return Rule(middle, top, middle, bottom)
    return None
