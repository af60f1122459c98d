"""Reading order: which parts of a page are set in columns, and in what order a reader takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from workers.tools.documents.pdf.lines import Segment

STEP_POINTS = 2.0
# What tells columns of prose from columns of a table: enough lines, long enough, filling the width, alike.
MIN_LINES = 6
MIN_CHARACTERS = 18
MIN_FILL = 0.55
MIN_WIDTH_RATIO = 0.45
MIN_GUTTER_EM = 0.7
MAX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class _Measure:
    """A segment's numbers, computed once."""

    segment: Segment
    x0: float
    x1: float
    top: float
    baseline: float
    characters: int


def reading_order(segments: Sequence[Segment]) -> list[list[Segment]]:
    """The page's regions, each one column wide, in the order of reading."""
    measures = [
        _Measure(s, s.x0, s.x1, s.top, s.baseline, sum(len(word.text) + 1 for word in s.words))
        for s in segments
    ]
    return [[measure.segment for measure in region] for region in _split(measures, 0)]


def _split(measures: list[_Measure], depth: int) -> list[list[_Measure]]:
    gutter = _find_gutter(measures) if depth < MAX_DEPTH else None
    if gutter is None:
        return [measures] if measures else []
    regions: list[list[_Measure]] = []
    left: list[_Measure] = []
    right: list[_Measure] = []
    across: list[_Measure] = []
    for measure in sorted(measures, key=lambda item: item.baseline):
        if measure.x0 < gutter < measure.x1:
            regions += _split(left, depth + 1) + _split(right, depth + 1)
            left, right = [], []
            across.append(measure)
            continue
        if across:
            regions.append(across)
            across = []
        (left if measure.x1 <= gutter else right).append(measure)
    regions += _split(left, depth + 1) + _split(right, depth + 1)
    return [*regions, across] if across else regions


def _find_gutter(measures: Sequence[_Measure]) -> float | None:
    """The middle of the widest vertical strip that fewest segments cross, if both its sides look like prose."""
    if len(measures) < 2 * MIN_LINES:
        return None
    start, end = min(m.x0 for m in measures), max(m.x1 for m in measures)
    margin = 0.15 * (end - start)
    places = [
        start + margin + STEP_POINTS * n for n in range(int((end - start - 2 * margin) / STEP_POINTS) + 1)
    ]
    crossings = [sum(m.x0 < place < m.x1 for m in measures) for place in places]
    if not crossings:
        return None
    fewest = min(crossings)
    strips: list[tuple[float, float]] = []
    for place, crossing in zip(places, crossings, strict=True):
        if crossing > fewest:
            continue
        if strips and place - strips[-1][1] <= STEP_POINTS * 1.5:
            strips[-1] = (strips[-1][0], place)
        else:
            strips.append((place, place))
    strips.sort(key=lambda strip: strip[0] - strip[1])
    for first, last in strips[:3]:
        gutter = (first + last) / 2
        left = [m for m in measures if m.x1 <= gutter]
        right = [m for m in measures if m.x0 >= gutter]
        if _are_columns(left, right) and _gap(left, right) >= MIN_GUTTER_EM * median(
            m.segment.size for m in measures
        ):
            return gutter
    return None


def _gap(left: Sequence[_Measure], right: Sequence[_Measure]) -> float:
    return min(m.x0 for m in right) - max(m.x1 for m in left)


def _are_columns(left: Sequence[_Measure], right: Sequence[_Measure]) -> bool:
    widths: list[float] = []
    for side in (left, right):
        if len({round(m.baseline) for m in side}) < MIN_LINES:
            return False
        width = max(m.x1 for m in side) - min(m.x0 for m in side)
        if median(m.characters for m in side) < MIN_CHARACTERS:
            return False
        if median(m.x1 - m.x0 for m in side) < MIN_FILL * width:
            return False
        widths.append(width)
    return min(widths) >= MIN_WIDTH_RATIO * max(widths)
