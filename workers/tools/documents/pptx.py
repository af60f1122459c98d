"""PPTX: slide by slide, with python-pptx."""

# python-pptx's types are partial:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER

from workers.tools.documents import markdown
from workers.tools.documents.parts import DocumentRefused, Part

BULLETS = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
# Placeholders whose paragraphs are bulleted by the slide layout unless they say otherwise.
BULLETED = frozenset({PP_PLACEHOLDER.BODY, PP_PLACEHOLDER.OBJECT, PP_PLACEHOLDER.VERTICAL_BODY})
TITLES = frozenset({PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE, PP_PLACEHOLDER.VERTICAL_TITLE})
FURNITURE = frozenset({PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER})
MAX_CHART_POINTS = 500


class PptxDocument:
    unit = "slide"
    batch = 20

    def __init__(self, path: Path, name: str) -> None:
        self.warnings: list[str] = []
        self._presentation: Any = Presentation(str(path))
        self._slides: list[Any] = list(self._presentation.slides)
        if not self._slides:
            raise DocumentRefused(f"{name} has no slides: there is nothing to convert.")
        title = str(self._presentation.core_properties.title or "").strip()
        self.title = title if title.lower() not in ("", "powerpoint presentation") else None

    @property
    def count(self) -> int:
        return len(self._slides)

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        for number in numbers:
            slide = self._slides[number - 1]
            shapes = sorted(_flat(slide.shapes), key=_place)
            title = next((shape for shape in shapes if _placeholder(shape) in TITLES and _text(shape)), None)
            heading = _text(title) if title is not None else f"Slide {number}"
            blocks = [f"## {markdown.escape(heading)}"]
            blocks += [block for shape in shapes if shape is not title for block in _blocks(shape)]
            blocks += list(_notes(slide))
            yield Part(markdown="\n\n".join(blocks))

    def close(self) -> None:
        pass


def _flat(shapes: Any) -> Iterator[Any]:
    for shape in shapes:
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
            yield from _flat(shape.shapes)
        else:
            yield shape


def _place(shape: Any) -> tuple[int, int]:
    """Top to bottom in steps of a centimetre, then left to right: neighbours are rarely placed exactly."""
    return ((shape.top or 0) // 360_000, shape.left or 0)


def _placeholder(shape: Any) -> Any:
    return shape.placeholder_format.type if shape.is_placeholder else None


def _text(shape: Any) -> str:
    return " ".join(shape.text_frame.text.split()) if shape.has_text_frame else ""


def _blocks(shape: Any) -> Iterator[str]:
    if _placeholder(shape) in FURNITURE:
        return
    if getattr(shape, "has_table", False) and shape.has_table:
        rows = [[_cell(cell) for cell in row.cells] for row in shape.table.rows]
        yield markdown.table(rows)
    elif getattr(shape, "has_chart", False) and shape.has_chart:
        yield from _chart(shape.chart)
    elif shape.has_text_frame:
        text = _paragraphs(shape.text_frame, _placeholder(shape) in BULLETED)
        if text:
            yield text
    elif shape.shape_type == MSO_SHAPE_TYPE.PICTURE:
        described = str(shape._element._nvXxPr.cNvPr.get("descr") or "").strip()  # noqa: SLF001
        if described:
            yield f"[Image: {markdown.escape(' '.join(described.split()))}]"


def _cell(cell: Any) -> str:
    if cell.is_spanned:
        return ""
    return "<br>".join(filter(None, (_runs(paragraph) for paragraph in cell.text_frame.paragraphs)))


def _paragraphs(frame: Any, bulleted: bool) -> str:
    """List items below each other; other paragraphs apart."""
    text = ""
    was_item = False
    number = 0
    for paragraph in frame.paragraphs:
        line = _runs(paragraph)
        if not line:
            continue
        mark = _mark(paragraph, bulleted)
        number = number + 1 if mark == "1." else 0
        item = mark is not None
        if item:
            line = (
                "  " * paragraph.level * (2 if mark == "1." else 1)
                + f"{f'{number}.' if mark == '1.' else '-'} {line}"
            )
        else:
            line = markdown.escape_line_start(line)
        text += (("\n" if item and was_item else "\n\n") if text else "") + line
        was_item = item
    return text


def _mark(paragraph: Any, bulleted: bool) -> str | None:
    """What the paragraph is numbered or bulleted with, by itself or by its placeholder."""
    properties = paragraph._p.pPr  # noqa: SLF001
    if properties is not None:
        if properties.find(f"{BULLETS}buNone") is not None:
            return None
        if properties.find(f"{BULLETS}buAutoNum") is not None:
            return "1."
        if properties.find(f"{BULLETS}buChar") is not None:
            return "-"
    return "-" if bulleted else None


def _runs(paragraph: Any) -> str:
    """The paragraph's text with bold, italic and links; python-pptx shows line breaks as vertical tabs."""
    text = ""
    for run in paragraph.runs:
        plain = run.text
        core = markdown.escape(plain.strip())
        if not core:
            text += plain
            continue
        font = run.font
        core = f"**{core}**" if font.bold else core
        core = f"*{core}*" if font.italic else core
        target = run.hyperlink.address
        if target and re.match(r"(?i)(https?|mailto|ftp|tel):", target):
            core = markdown.link(core, target)
        text += plain[: len(plain) - len(plain.lstrip())] + core + plain[len(plain.rstrip()) :]
    text = text.replace("****", "") if text.count("****") else text
    return " ".join((text or markdown.escape(paragraph.text)).replace("\v", " ").split())


def _chart(chart: Any) -> Iterator[str]:
    """A chart as the table it was drawn from."""
    try:
        plot = chart.plots[0]
        categories = [str(category) for category in plot.categories]
        series = [(str(each.name or ""), list(each.values)) for each in plot.series]
    except (IndexError, KeyError, ValueError, AttributeError):
        return
    title = " ".join(chart.chart_title.text_frame.text.split()) if _has_title(chart) else ""
    if title:
        yield f"**{markdown.escape(title)}**"
    if series and len(categories) * len(series) <= MAX_CHART_POINTS:
        rows = [["", *(markdown.escape(name) for name, _ in series)]]
        rows += [
            [markdown.escape(category), *(_value(values, row) for _, values in series)]
            for row, category in enumerate(categories)
        ]
        yield markdown.table(rows)


def _has_title(chart: Any) -> bool:
    return chart.has_title and chart.chart_title.has_text_frame


def _value(values: Sequence[Any], row: int) -> str:
    value = values[row] if row < len(values) else None
    return "" if value is None else f"{value:g}"


def _notes(slide: Any) -> Iterator[str]:
    if not slide.has_notes_slide or slide.notes_slide.notes_text_frame is None:
        return
    text = _paragraphs(slide.notes_slide.notes_text_frame, bulleted=False)
    if text:
        yield "\n".join(f"> {line}".rstrip() for line in f"Notes: {text}".split("\n"))
