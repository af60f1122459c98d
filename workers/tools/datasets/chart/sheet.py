"""All panels on one sheet, drawn with Pillow.

Matplotlib would bring a hundred megabytes, take longer to load than this takes to draw, and still need every
label placed by hand in panels this small.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image

from workers.tools.datasets.chart.canvas import Canvas, Color
from workers.tools.datasets.chart.panel import HEIGHT, INK, MUTED, WIDTH, draw_panel
from workers.tools.datasets.report import ColumnProfile, ProfileSummary
from workers.units import count_of

PAPER: Color = (244, 246, 249)
MARGIN = 24
GAP = 12
HEADER = 64
MAX_ACROSS = 4
SCALE = 2


def draw_sheet(summary: ProfileSummary, columns: Sequence[ColumnProfile], limit: int) -> Image.Image:
    """A panel for each of the first `limit` columns, at SCALE times the resolution it is laid out for."""
    shown = columns[:limit]
    across = min(MAX_ACROSS, max(2, math.ceil(math.sqrt(len(shown)))))
    down = math.ceil(len(shown) / across)
    width = 2 * MARGIN + across * (WIDTH + GAP) - GAP
    height = 2 * MARGIN + HEADER + down * (HEIGHT + GAP) - GAP
    canvas = Canvas(width, height, SCALE, PAPER)
    _draw_header(canvas, summary, len(shown), width - 2 * MARGIN)
    for number, column in enumerate(shown):
        left = MARGIN + number % across * (WIDTH + GAP)
        top = MARGIN + HEADER + number // across * (HEIGHT + GAP)
        draw_panel(canvas, left, top, column, summary.rows, summary.estimated)
    return canvas.image


def as_png(image: Image.Image, *, as_laid_out: bool = False) -> bytes:
    """The image's file; as_laid_out: without the higher resolution it was drawn at."""
    target = io.BytesIO()
    (image.reduce(SCALE) if as_laid_out else image).save(target, "PNG", optimize=True)
    return target.getvalue()


def _draw_header(canvas: Canvas, summary: ProfileSummary, shown: int, width: int) -> None:
    canvas.write((MARGIN, MARGIN + 20), summary.source, 24, INK, bold=True, width=width)
    facts = [count_of(summary.rows, "row"), count_of(summary.columns, "column"), summary.format.upper()]
    if shown < summary.columns:
        facts.append(f"the first {shown} columns are drawn")
    if summary.rejected_rows is not None:
        facts.append(f"{count_of(summary.rejected_rows.count, 'row')} rejected")
    canvas.write((MARGIN, MARGIN + 46), "  ·  ".join(facts), 14, MUTED, width=width)
