"""A bar chart as SVG: rates of several subjects, figure by figure, each against its own longest bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 760
LABEL = 150
BAR = 20
GAP = 6
GROUP_GAP = 30
TOP = 34
COLOURS = ("#2563eb", "#60a5fa", "#f59e0b", "#9ca3af")


def bars(title: str, groups: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """groups: by figure, the value of each subject in the order in which they are drawn."""
    parts: list[str] = []
    top = TOP
    for figure, values in groups.items():
        parts.append(_text(0, top + 12, figure, "600"))
        top += BAR
        longest = max(values.values())
        for number, (subject, value) in enumerate(values.items()):
            parts += _bar(top, subject, value, value / longest, COLOURS[number % len(COLOURS)], unit)
            top += BAR + GAP
        top += GROUP_GAP
    height = top - GROUP_GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="system-ui, sans-serif" font-size="13" role="img">'
    )
    style = "<style>text{fill:#1f2937}@media(prefers-color-scheme:dark){text{fill:#e5e7eb}}</style>"
    return "\n".join(
        [head, style, f"<title>{escape(title)}</title>", _text(0, 14, title, "700"), *parts, "</svg>\n"]
    )


def _bar(top: int, subject: str, value: float, share: float, colour: str, unit: str) -> Sequence[str]:
    room = WIDTH - LABEL - 110
    width = max(2.0, share * room)
    return (
        _text(0, top + 15, subject),
        f'<rect x="{LABEL}" y="{top}" width="{width:.1f}" height="{BAR}" rx="3" fill="{colour}"/>',
        _text(LABEL + width + 8, top + 15, f"{value:,.0f}{unit}"),
    )


def _text(x: float, y: float, text: str, weight: str = "400") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}">{escape(text)}</text>'
