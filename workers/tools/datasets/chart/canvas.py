"""Drawing in layout units, so that one drawing can be made at any resolution."""

from __future__ import annotations

from PIL import Image, ImageDraw

from workers.tools.datasets.chart.typeface import cut, font_for, printable

Color = tuple[int, int, int]


class Canvas:
    """An image of `width` by `height` units, each `scale` pixels wide. All methods take units."""

    def __init__(self, width: int, height: int, scale: int, paper: Color) -> None:
        self.image = Image.new("RGB", (width * scale, height * scale), paper)
        self._draw = ImageDraw.Draw(self.image)
        self._scale = scale

    def fill(self, left: float, top: float, right: float, bottom: float, color: Color) -> None:
        """A rectangle; right and bottom are where it ends, not its last units."""
        pixels = [round(edge * self._scale) for edge in (left, top, right, bottom)]
        self._draw.rectangle((*pixels[:2], pixels[2] - 1, pixels[3] - 1), fill=color)

    def card(self, left: float, top: float, right: float, bottom: float, color: Color, border: Color) -> None:
        """A rectangle with round corners and a thin border."""
        pixels = [round(edge * self._scale) for edge in (left, top, right, bottom)]
        self._draw.rounded_rectangle(
            (*pixels[:2], pixels[2] - 1, pixels[3] - 1),
            6 * self._scale,
            fill=color,
            outline=border,
            width=self._scale,
        )

    def write(
        self,
        position: tuple[float, float],
        text: str,
        size: int,
        color: Color,
        *,
        bold: bool = False,
        anchor: str = "ls",
        width: float | None = None,
    ) -> None:
        """One line, cut to `width` with an ellipsis.

        anchor: Pillow's text anchor; the default puts the left end of the baseline at `position`.
        """
        text = printable(text)
        font = font_for(text, size * self._scale, bold)
        if width is not None:
            text = cut(text, font, width * self._scale)
        x, y = (part * self._scale for part in position)
        self._draw.text((x, y), text, fill=color, font=font, anchor=anchor)

    def measure(self, text: str, size: int) -> float:
        """How wide `write` would make it."""
        text = printable(text)
        return font_for(text, size * self._scale, bold=False).getlength(text) / self._scale
