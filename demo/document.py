"""The demo's document: a PDF of forty pages with headings, tables and links."""

from __future__ import annotations

from pathlib import Path

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from demo.lights import YEAR, Light, Month, lights, months

PAGES = 40

_STYLES = getSampleStyleSheet()
_TABLE = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#dfe8ef")),
        ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
        ("FONTSIZE", (0, 0), (-1, -1), 9),
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
    ]
)


def write_report(path: Path) -> None:
    """Write the PDF: a title, an overview, and a page for each light."""
    listed = lights()
    story: list[Flowable] = [*_title(listed), PageBreak(), *_overview(listed)]
    for light in listed:
        story += [PageBreak(), *_page(light)]
    document = SimpleDocTemplate(
        str(path),
        pagesize=A4,
        title=f"Thirty-eight lights in {YEAR}",
        author="The lights' keepers",
        invariant=1,
    )
    document.build(story)


def _text(content: str, style: str = "BodyText") -> Paragraph:
    return Paragraph(content, _STYLES[style])


def _table(header: list[str], rows: list[list[str]]) -> Table:
    return Table([header, *rows], style=_TABLE, repeatRows=1, rowHeights=5.6 * mm)


def _title(listed: list[Light]) -> list[Flowable]:
    return [
        Spacer(1, 60 * mm),
        _text(f"Thirty-eight lights in {YEAR}", "Title"),
        _text(
            f"What the keepers of {len(listed)} lighthouses saw at noon, day by day: how far, in what wind, "
            "and on how many days nothing at all. None of these lights exists, which is why their records "
            "are so complete."
        ),
        Spacer(1, 6 * mm),
        _text(
            "How visibility is measured is described by the "
            '<a href="https://wmo.int" color="blue">World Meteorological Organization</a>; how lights are '
            'listed, by the <a href="https://www.iala.int" color="blue">IALA</a>.'
        ),
    ]


def _overview(listed: list[Light]) -> list[Flowable]:
    rows = [
        [
            light.name,
            str(light.lit_in),
            f"{light.height_m} m",
            f"{light.range_km} km",
            f"{light.exposure:.2f}",
        ]
        for light in listed
    ]
    return [
        _text("The lights", "Heading1"),
        _table(["Light", "Lit in", "Height", "Range", "Exposure"], rows),
    ]


def _page(light: Light) -> list[Flowable]:
    year = months(light)
    return [
        _text(light.name, "Heading1"),
        _text(
            f"Lit in {light.lit_in}, {light.height_m} metres above the sea, seen from {light.range_km} "
            f"kilometres. {_character(light)}"
        ),
        _text("The year in figures", "Heading2"),
        _table(
            ["Month", "Visibility (km)", "Wind (m/s)", "Air (°C)", "Days of fog"],
            [
                [m.name, f"{m.visibility_km:.1f}", f"{m.wind_m_s:.1f}", f"{m.air_c:.1f}", str(m.fog_days)]
                for m in year
            ],
        ),
        _text("What stood out", "Heading2"),
        *[_text(f"• {remark}") for remark in _remarks(year)],
        Spacer(1, 4 * mm),
        _text(f'The log of this light is kept at <a href="{_log(light)}" color="blue">example.org</a>.'),
    ]


def _log(light: Light) -> str:
    return "https://example.org/lights/" + light.name.lower().replace(" ", "-")


def _character(light: Light) -> str:
    if light.exposure > 0.7:
        return "It stands in the open ocean: its keepers measure the wind first and ask about fog later."
    if light.exposure > 0.35:
        return "It guards the mouth of a sound, half in the swell and half behind the land."
    return "It lies behind the islands, where the wind is tired and the fog takes its time."


def _remarks(year: list[Month]) -> list[str]:
    windy = max(year, key=lambda month: month.wind_m_s)
    clear = max(year, key=lambda month: month.visibility_km)
    foggy = max(year, key=lambda month: month.fog_days)
    total = sum(month.fog_days for month in year)
    return [
        f"The windiest month was {windy.name} with a mean of {windy.wind_m_s:.1f} m/s.",
        f"The eye reached farthest in {clear.name}: {clear.visibility_km:.1f} km on an average noon.",
        f"Fog hid the sea on {total} days of the year, most often in {foggy.name} ({foggy.fog_days} days).",
    ]
