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
MAX_LEVEL_SHARE = 0.4
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


def reading_order(segments: Sequence[Segment], gutter: float | None = None) -> list[list[Segment]]:
    """The page's regions, each one column wide, in the order of reading.

    gutter: where other pages of the document are parted; there it takes less to be convinced.
    """
    return [[measure.segment for measure in region] for region in _split(_measured(segments), 0, gutter)]


def find_gutter(segments: Sequence[Segment]) -> float | None:
    """Where the page is parted into columns of prose, if it is."""
    return _find_gutter(_measured(segments), None)


def _measured(segments: Sequence[Segment]) -> list[_Measure]:
    return [
        _Measure(s, s.x0, s.x1, s.top, s.baseline, sum(len(word.text) + 1 for word in s.words))
        for s in segments
    ]


def _split(measures: list[_Measure], depth: int, known: float | None) -> list[list[_Measure]]:
    gutter = _find_gutter(measures, known) if depth < MAX_DEPTH else None
    if gutter is None:
        return [measures] if measures else []
    regions: list[list[_Measure]] = []
    left: list[_Measure] = []
    right: list[_Measure] = []
    across: list[_Measure] = []
    for measure in sorted(measures, key=lambda item: item.baseline):
        if measure.x0 < gutter < measure.x1:
            regions += _split(left, depth + 1, None) + _split(right, depth + 1, None)
            left, right = [], []
            across.append(measure)
            continue
        if across:
            regions.append(across)
            across = []
        (left if measure.x1 <= gutter else right).append(measure)
    regions += _split(left, depth + 1, None) + _split(right, depth + 1, None)
    return [*regions, across] if across else regions


def _find_gutter(measures: Sequence[_Measure], known: float | None) -> float | None:
    """The middle of the widest vertical strip that fewest segments cross, if its sides look like columns."""
    if len(measures) < 2 * MIN_LINES:
        return None
    size = median(m.segment.size for m in measures)
    candidates = [(known, True)] if known is not None else []
    candidates += [(place, False) for place in _strips(measures)]
    for gutter, is_known in candidates:
        left = [m for m in measures if m.x1 <= gutter]
        right = [m for m in measures if m.x0 >= gutter]
        if (
            left
            and right
            and _gap(left, right) >= MIN_GUTTER_EM * size
            and _are_columns(left, right, is_known)
        ):
            return gutter
    return None


def _strips(measures: Sequence[_Measure]) -> list[float]:
    """The middles of the widest strips that no more segments cross than must be."""
    start, end = min(m.x0 for m in measures), max(m.x1 for m in measures)
    margin = 0.15 * (end - start)
    places = [
        start + margin + STEP_POINTS * n for n in range(int((end - start - 2 * margin) / STEP_POINTS) + 1)
    ]
    crossings = [sum(m.x0 < place < m.x1 for m in measures) for place in places]
    fewest = min(crossings, default=0)
    strips: list[tuple[float, float]] = []
    for place, crossing in zip(places, crossings, strict=True):
        if crossing > fewest:
            continue
        if strips and place - strips[-1][1] <= STEP_POINTS * 1.5:
            strips[-1] = (strips[-1][0], place)
        else:
            strips.append((place, place))
    strips.sort(key=lambda strip: strip[0] - strip[1])
    return [(first + last) / 2 for first, last in strips[:3]]


def _gap(left: Sequence[_Measure], right: Sequence[_Measure]) -> float:
    return min(m.x0 for m in right) - max(m.x1 for m in left)


def _are_columns(left: Sequence[_Measure], right: Sequence[_Measure], is_known: bool) -> bool:
    """Prose on both sides; or on one, beside something whose lines do not stand level with it, as cells do."""
    minimum = 3 if is_known else MIN_LINES
    if any(len({round(m.baseline) for m in side}) < minimum for side in (left, right)):
        return False
    prose = _is_prose(left) + _is_prose(right)
    widths = sorted(max(m.x1 for m in side) - min(m.x0 for m in side) for side in (left, right))
    if prose == 2:
        return is_known or widths[0] >= MIN_WIDTH_RATIO * widths[1]
    return prose == 1 and (is_known or _level_share(left, right) < MAX_LEVEL_SHARE)


def _is_prose(side: Sequence[_Measure]) -> bool:
    width = max(m.x1 for m in side) - min(m.x0 for m in side)
    return (
        median(m.characters for m in side) >= MIN_CHARACTERS
        and median(m.x1 - m.x0 for m in side) >= MIN_FILL * width
    )


def _level_share(left: Sequence[_Measure], right: Sequence[_Measure]) -> float:
    """How many lines of the shorter side have one at the same height on the other."""
    few, many = sorted((left, right), key=len)
    heights = [m.baseline for m in many]
    return sum(any(abs(m.baseline - height) < 1.0 for height in heights) for m in few) / len(few)
