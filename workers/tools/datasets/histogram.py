"""Bars for numbers and for dates: where they begin and end, and how many values are in each.

Few extremes must not squeeze everything else into one bar: when the values between the 5th and the 95th
percentile take up only a small part of the range, the bars hold those and their neighbours, and what lies
far outside is counted apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from workers.tools.datasets.engine import Engine
from workers.tools.datasets.report import Bin, Histogram

MAX_BINS = 30
MAX_TIME_BINS = 40
LONG_TAIL = 5
"""A range is cut when it is this many times as long as the distance between the 5th and 95th percentile."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where a column's finite values lie, as plain numbers (of seconds, for times)."""

    low: float
    p5: float
    p95: float
    high: float

    def shown(self, engine: Engine, value: str) -> tuple[float, float]:
        """The lowest and the highest value that the bars have to hold."""
        usual = self.p95 - self.p5
        if usual <= 0 or self.high - self.low <= LONG_TAIL * usual:
            return self.low, self.high
        return engine.row(
            f"SELECT min({value}), max({value}) FROM data WHERE {value} BETWEEN $low AND $high",  # noqa: S608
            {"low": self.p5 - 2 * usual, "high": self.p95 + 2 * usual},
        )


def number_histogram(engine: Engine, value: str, spread: Spread, whole: bool) -> Histogram | None:
    """value: an SQL expression over `data`, null where there is nothing to count. whole: only integers."""
    low, high = spread.shown(engine, value)
    if not math.isfinite(high - low):
        return None
    if low == high:
        (count,) = engine.row(f"SELECT count({value}) FROM data")  # noqa: S608
        return Histogram(bin="0", bins=[Bin(start=_plain(low, whole), end=_plain(low, whole), count=count)])
    width = _width((high - low) / MAX_BINS, whole)
    start = math.floor(low / width) * width
    # Integers: the bars are [0, 1), [1, 2), …, so the last one must begin at the highest value.
    number = max(1, math.floor((high - start) / width) + 1 if whole else math.ceil((high - start) / width))
    end = start + number * width
    counted = engine.rows(
        f"SELECT CASE WHEN v < $start THEN -1 WHEN v > $end THEN $number "  # noqa: S608
        f"ELSE least(floor((v - $start) / $width)::INTEGER, $number - 1) END AS bin, count(*) "
        f"FROM (SELECT {value} AS v FROM data) WHERE v IS NOT NULL GROUP BY bin",
        {"start": start, "end": end, "number": number, "width": width},
    )
    counts = {int(index): int(count) for index, count in counted}
    edges = [_plain(start + index * width, whole) for index in range(number + 1)]
    bins = [Bin(start=edges[i], end=edges[i + 1], count=counts.get(i, 0)) for i in range(number)]
    return Histogram(
        bin=f"{_plain(width, whole)}", bins=bins, below=counts.get(-1, 0), above=counts.get(number, 0)
    )


def _width(least: float, whole: bool) -> float:
    """The next of 1, 2, 5, 10, … (times a power of ten) that is not narrower."""
    power = 10.0 ** math.floor(math.log10(least))
    width = next(step * power for step in (1, 2, 5, 10) if step * power >= least * 0.999999)
    return max(width, 1.0) if whole else width


def _plain(value: float, whole: bool) -> float | int:
    """Without the dust of binary fractions."""
    return round(value) if whole else float(f"{value:.12g}")


@dataclass(frozen=True, slots=True)
class _Unit:
    name: str
    seconds: float
    interval: str


_DAY = 86_400.0
_YEAR = 365.2425 * _DAY
_UNITS = [
    _Unit("second", 1, "1 second"),
    _Unit("minute", 60, "1 minute"),
    _Unit("hour", 3_600, "1 hour"),
    _Unit("day", _DAY, "1 day"),
    _Unit("week", 7 * _DAY, "7 days"),
    _Unit("month", _YEAR / 12, "1 month"),
    _Unit("quarter", _YEAR / 4, "3 months"),
    _Unit("year", _YEAR, "1 year"),
    _Unit("decade", 10 * _YEAR, "10 years"),
    _Unit("century", 100 * _YEAR, "100 years"),
    _Unit("millennium", 1000 * _YEAR, "1000 years"),
]


def time_histogram(engine: Engine, column: str, spread: Spread, whole_days: bool) -> Histogram:
    """column: an SQL expression of a date or timestamp. whole_days: no bar is shorter than a day."""
    low, high = spread.shown(engine, f"epoch({column})")
    units = [unit for unit in _UNITS if unit.seconds >= _DAY or not whole_days]
    unit = next((unit for unit in units if (high - low) / unit.seconds < MAX_TIME_BINS), units[-1])
    shown_as = "DATE" if unit.seconds >= _DAY else "TIMESTAMP"
    rows = engine.rows(
        f"WITH counted AS (SELECT date_trunc('{unit.name}', CAST({column} AS TIMESTAMP)) AS start, "  # noqa: S608
        f"count(*) AS count FROM data WHERE epoch({column}) BETWEEN $low AND $high GROUP BY start), "
        f"every AS (SELECT unnest(generate_series(min(start), max(start), INTERVAL '{unit.interval}')) "
        f"AS start FROM counted) "
        f"SELECT CAST(CAST(every.start AS {shown_as}) AS VARCHAR), "
        f"CAST(CAST(every.start + INTERVAL '{unit.interval}' AS {shown_as}) AS VARCHAR), coalesce(count, 0) "
        f"FROM every LEFT JOIN counted USING (start) ORDER BY every.start",
        {"low": low, "high": high},
    )
    below, above = engine.row(
        f"SELECT count(*) FILTER (epoch({column}) < $low), count(*) FILTER (epoch({column}) > $high) FROM data",  # noqa: S608
        {"low": low, "high": high},
    )
    bins = [Bin(start=start, end=end, count=count) for start, end, count in rows]
    return Histogram(bin=unit.name, bins=bins, below=below, above=above)
