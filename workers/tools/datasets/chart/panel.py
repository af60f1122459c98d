"""One column's panel: its name, the figures that matter, and its distribution."""

from __future__ import annotations

from dataclasses import dataclass

from workers.tools.datasets.chart.canvas import Canvas, Color
from workers.tools.datasets.chart.labels import percent, short_number, short_time, short_value
from workers.tools.datasets.report import Bin, ColumnProfile, Histogram, TopValue
from workers.units import count_of

WIDTH = 352
HEIGHT = 214
PADDING = 14

INK: Color = (24, 32, 44)
MUTED: Color = (96, 108, 124)
FAINT: Color = (226, 230, 236)
CARD: Color = (255, 255, 255)
MISSING: Color = (222, 92, 84)
NUMBER: Color = (62, 112, 186)
TIME: Color = (32, 144, 128)
CATEGORY: Color = (201, 132, 46)

BARS_SHOWN = 5
ROW_HEIGHT = 20
MAX_LABELLED_BARS = 12


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in layout units."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


def draw_panel(
    canvas: Canvas, left: int, top: int, column: ColumnProfile, rows: int, estimated: bool
) -> None:
    """Into the WIDTH by HEIGHT units from (left, top)."""
    canvas.card(left, top, left + WIDTH, top + HEIGHT, CARD, FAINT)
    box = Box(left + PADDING, top + PADDING, left + WIDTH - PADDING, top + HEIGHT - PADDING)
    _draw_heading(canvas, box, column, rows, estimated)
    plot = Box(box.left, box.top + 62, box.right, box.bottom)
    if column.nulls == rows:
        _draw_message(canvas, plot, "no rows" if rows == 0 else "every value is null")
    elif column.histogram is not None and len(column.histogram.bins) > 1:
        _draw_histogram(canvas, plot, column, column.histogram)
    elif column.top_values:
        _draw_top_values(canvas, plot, column.top_values, column.distinct)
    else:
        _draw_message(canvas, plot, *_about_distinct_values(column))


def _draw_heading(canvas: Canvas, box: Box, column: ColumnProfile, rows: int, estimated: bool) -> None:
    kind = column.type if len(column.type) <= 16 else column.type.split("(")[0].split(" WITH")[0][:16]
    canvas.write((box.right, box.top + 13), kind, 11, MUTED, anchor="rs")
    room = box.width - canvas.measure(kind, 11) - 12
    canvas.write((box.left, box.top + 13), column.name, 15, INK, bold=True, width=room)
    missing = column.nulls / rows if rows else 0.0
    facts = [f"{'≈' if estimated else ''}{column.distinct:,} distinct"]
    if column.nulls:
        facts.append(f"{percent(missing)} null")
    if column.not_finite:
        facts.append(f"{column.not_finite:,} not finite")
    if column.quantiles is not None:
        facts.append(f"median {short_value(column.quantiles.p50)}")
    canvas.write((box.left, box.top + 33), "  ·  ".join(facts), 12, MUTED, width=box.width)
    strip = box.top + 43
    canvas.fill(box.left, strip, box.right, strip + 3, FAINT)
    if missing:
        canvas.fill(box.left, strip, box.left + max(2.0, box.width * missing), strip + 3, MISSING)


def _draw_message(canvas: Canvas, plot: Box, *lines: str) -> None:
    top = plot.top + plot.height / 2 - 10 * (len(lines) - 1)
    for number, line in enumerate(lines):
        canvas.write((plot.middle, top + 20 * number), line, 13, MUTED, anchor="mm", width=plot.width)


def _about_distinct_values(column: ColumnProfile) -> list[str]:
    lines = ["every value is different" if column.distinct > 1 else "a single value"]
    if column.min_length is not None:
        unit = "bytes" if column.type == "BLOB" else "characters"
        same = column.min_length == column.max_length
        length = f"{column.min_length:,}" if same else f"{column.min_length:,} to {column.max_length:,}"
        lines.append(f"{length} {unit} each")
    if column.min is not None:
        lines.append(f"lowest: {short_value(column.min)}")
    return lines


def _draw_histogram(canvas: Canvas, plot: Box, column: ColumnProfile, histogram: Histogram) -> None:
    is_time = isinstance(histogram.bins[0].start, str)
    highest = max(bar.count for bar in histogram.bins)
    bars = Box(plot.left, plot.top + 12, plot.right, plot.bottom - 18)
    canvas.fill(bars.left, bars.top, bars.right, bars.top + 1, FAINT)
    canvas.write((plot.left, bars.top - 4), short_number(highest), 11, MUTED)
    _note_the_rest(canvas, plot, bars.top - 4, histogram)
    pitch = bars.width / len(histogram.bins)
    gap = 1 if pitch >= 4 else 0
    for index, bar in enumerate(histogram.bins):
        if bar.count:
            left = bars.left + pitch * index
            top = bars.bottom - max(1.0, bars.height * bar.count / highest)
            canvas.fill(left, top, left + max(pitch - gap, 1.0), bars.bottom, TIME if is_time else NUMBER)
    canvas.fill(bars.left, bars.bottom, bars.right, bars.bottom + 1, MUTED)
    if histogram.bin == "1":
        _label_integers(canvas, bars, plot.bottom - 2, histogram.bins)
    else:
        _label_ends(canvas, plot, histogram, is_time)
    if not is_time and column.quantiles is not None:
        half = 0.5 if histogram.bin == "1" else 0.0
        _mark_median(canvas, bars, histogram, float(column.quantiles.p50) + half)


def _note_the_rest(canvas: Canvas, plot: Box, baseline: float, histogram: Histogram) -> None:
    """How many values the bars leave out."""
    parts = [
        text
        for count, text in (
            (histogram.below, f"← {short_number(histogram.below)} below"),
            (histogram.above, f"{short_number(histogram.above)} above →"),
        )
        if count
    ]
    canvas.write((plot.right, baseline), "   ".join(parts), 11, CATEGORY, anchor="rs")


def _label_integers(canvas: Canvas, bars: Box, baseline: float, bins: list[Bin]) -> None:
    """A bar per integer has its label in the middle; many bars are labelled only here and there."""
    pitch = bars.width / len(bins)
    every = 1 if len(bins) <= MAX_LABELLED_BARS else -(-len(bins) // 6)
    for index in range(0, len(bins), every):
        centre = bars.left + pitch * (index + 0.5)
        canvas.write(
            (centre, baseline), short_number(bins[index].start), 11, MUTED, anchor="ms", width=pitch * every
        )


def _label_ends(canvas: Canvas, plot: Box, histogram: Histogram, is_time: bool) -> None:
    first, last = histogram.bins[0], histogram.bins[-1]
    baseline = plot.bottom - 2
    if is_time:
        start, end = short_time(first.start, histogram.bin), short_time(last.start, histogram.bin)
        middle = f"by {histogram.bin}"
    else:
        start, end = short_number(first.start), short_number(last.end)
        centre = histogram.bins[len(histogram.bins) // 2].start
        middle = short_number(centre) if len(histogram.bins) % 2 == 0 else ""
    canvas.write((plot.left, baseline), start, 11, MUTED)
    canvas.write((plot.right, baseline), end, 11, MUTED, anchor="rs")
    canvas.write((plot.middle, baseline), middle, 11, MUTED, anchor="ms")


def _mark_median(canvas: Canvas, bars: Box, histogram: Histogram, median: float) -> None:
    start, end = float(histogram.bins[0].start), float(histogram.bins[-1].end)
    if not start <= median <= end:
        return
    x = bars.left + bars.width * (median - start) / (end - start)
    y = bars.top + 1
    while y < bars.bottom:
        canvas.fill(x - 0.5, y, x + 0.5, min(y + 3, bars.bottom), INK)
        y += 5


def _draw_top_values(canvas: Canvas, plot: Box, values: list[TopValue], distinct: int) -> None:
    shown = values[:BARS_SHOWN]
    label_width = min(140.0, max(canvas.measure(short_value(value.value), 12) for value in shown) + 1)
    figures = [f"{short_number(value.count)} · {percent(value.share)}" for value in shown]
    left = plot.left + label_width + 10
    room = plot.right - left - max(canvas.measure(text, 11) for text in figures) - 8
    for number, (value, figure) in enumerate(zip(shown, figures, strict=True)):
        top = plot.top + number * ROW_HEIGHT
        label = short_value(value.value)
        canvas.write((left - 10, top + 12), label, 12, INK, anchor="rs", width=label_width)
        end = left + max(2.0, room * value.count / shown[0].count)
        canvas.fill(left, top + 1, end, top + ROW_HEIGHT - 5, CATEGORY)
        canvas.write((end + 8, top + 12), figure, 11, MUTED)
    if distinct > len(shown):
        baseline = plot.top + len(shown) * ROW_HEIGHT + 12
        canvas.write((left, baseline), f"and {count_of(distinct - len(shown), 'more value')}", 11, MUTED)
