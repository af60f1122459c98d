"""PDF coordinates turned upright, by the direction in which most of the page's text runs."""

# The C bindings carry no types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import pypdfium2 as pdfium

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Upright:
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
