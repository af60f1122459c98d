"""What is drawn on a page beside text: ruled lines, and how much of it is pictures."""

# The C bindings carry no types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from workers.tools.documents.pdf.page import Rule
from workers.tools.documents.pdf.upright import Upright

MAX_RULE_THICKNESS = 2.5
MIN_RULE_LENGTH = 5.0
MAX_PATHS = 4000


def read_drawings(page: pdfium.PdfPage, upright: Upright) -> tuple[list[Rule], float]:
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


def _rules(item: Any, upright: Upright) -> Iterator[Rule]:
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
