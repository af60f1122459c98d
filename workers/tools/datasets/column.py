"""One column's profile: which statistics make sense for its type, and the SQL that computes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

from workers.tools.datasets.engine import Engine, quoted
from workers.tools.datasets.histogram import Spread, number_histogram, time_histogram
from workers.tools.datasets.report import ColumnProfile, Quantiles, TopValue
from workers.tools.datasets.values import MAX_TEXT, as_json, is_nested, selectable, short_type

TOP_VALUES = 10
_ORDERED = ("BOOLEAN", "TIME", "INTERVAL", "UUID", "BIT", "BIGNUM")
_PROBABILITIES = "[0.05, 0.25, 0.5, 0.75, 0.95]"


class Family(Enum):
    """What a type's values are like, as far as a profile cares."""

    NUMBER = auto()
    TIME = auto()
    TEXT = auto()
    BINARY = auto()
    ORDERED = auto()
    OPAQUE = auto()


def family_of(kind: str) -> Family:
    """kind: DuckDB's name of a type."""
    if is_nested(kind):
        return Family.OPAQUE
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return Family.TIME
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        return Family.TEXT
    if kind == "BLOB":
        return Family.BINARY
    if (
        kind.endswith("INT")
        or kind in ("INTEGER", "UINTEGER", "FLOAT", "DOUBLE")
        or kind.startswith("DECIMAL")
    ):
        return Family.NUMBER
    return Family.ORDERED if kind.startswith(_ORDERED) else Family.OPAQUE


@dataclass(frozen=True, slots=True)
class Subject:
    """The column under examination. rows: of the table. exact: whether it is small enough for exact figures."""

    engine: Engine
    name: str
    kind: str
    rows: int
    exact: bool

    @property
    def sql(self) -> str:
        return quoted(self.name)

    @property
    def is_floating(self) -> bool:
        return self.kind in ("FLOAT", "DOUBLE")

    @property
    def is_whole(self) -> bool:
        return self.kind.endswith(("INT", "INTEGER")) or self.kind.endswith(",0)")

    @property
    def finite(self) -> str:
        """The values that statistics can be made of."""
        return f"CASE WHEN isfinite({self.sql}) THEN {self.sql} END" if self.is_floating else self.sql


def profile_column(subject: Subject) -> ColumnProfile:
    """Everything there is to say about it, in a few passes over the column."""
    distinct = "count(DISTINCT {0})" if subject.exact else "approx_count_distinct({0})"
    present, different = subject.engine.row(
        f"SELECT count({subject.sql}), {distinct.format(_comparable(subject))} FROM data"  # noqa: S608
    )
    profile = ColumnProfile(
        name=subject.name,
        type=short_type(subject.kind),
        nulls=subject.rows - present,
        distinct=min(different, present),
    )
    if present:
        _ADD[family_of(subject.kind)](subject, profile)
        if not (subject.exact and different == present and present > 1):
            profile.top_values = _top_values(subject)
    return profile


def _comparable(subject: Subject) -> str:
    """Something that can be grouped and counted; lists, objects and unknown types by their JSON."""
    if family_of(subject.kind) is Family.OPAQUE:
        return f"CAST(to_json({subject.sql}) AS VARCHAR)"
    return subject.sql


def _top_values(subject: Subject) -> list[TopValue]:
    key = _comparable(subject)
    kind = "JSON" if family_of(subject.kind) is Family.OPAQUE else subject.kind
    shown = f"left(key, {MAX_TEXT + 1})" if kind == "JSON" else selectable("key", kind)
    rows = subject.engine.rows(
        f"SELECT {shown}, count FROM (SELECT {key} AS key, count(*) AS count FROM data "  # noqa: S608
        f"WHERE {subject.sql} IS NOT NULL GROUP BY key ORDER BY count DESC, key LIMIT {TOP_VALUES}) "
        f"ORDER BY count DESC, key"
    )
    if rows[0][1] == 1 and len(rows) == TOP_VALUES:
        return []
    return [
        TopValue(value=as_json(value, kind), count=count, share=round(count / subject.rows, 6))
        for value, count in rows
    ]


def _add_number(subject: Subject, profile: ColumnProfile) -> None:
    finite, number = subject.finite, f"CAST({subject.finite} AS DOUBLE)"
    low, high, mean, deviation, quantiles, count = subject.engine.row(
        f"SELECT {selectable(f'min({finite})', subject.kind)}, {selectable(f'max({finite})', subject.kind)}, "  # noqa: S608
        f"avg({number}), {_deviation(subject, number)}, {_quantiles(subject, number, 'cont')}, count({number}) "
        f"FROM data"
    )
    profile.not_finite = subject.rows - profile.nulls - count
    profile.min, profile.max = as_json(low, subject.kind), as_json(high, subject.kind)
    profile.mean, profile.stddev = _finite(mean), _finite(deviation)
    if not count:
        return
    points = [float(point) for point in quantiles]
    profile.quantiles = Quantiles(**dict(zip(_NAMES, map(_neat, points), strict=True)))
    spread = Spread(float(low), points[0], points[-1], float(high))
    profile.histogram = number_histogram(subject.engine, number, spread, subject.is_whole)


def _deviation(subject: Subject, number: str) -> str:
    """stddev_samp fails on overflow, so it only gets values whose squares can be summed."""
    if not subject.is_floating:
        return f"stddev_samp({number})"
    small = f"abs({number}) < 1e150"
    return f"CASE WHEN bool_and({small}) THEN stddev_samp(CASE WHEN {small} THEN {number} END) END"


def _quantiles(subject: Subject, value: str, kind: str) -> str:
    return f"{f'quantile_{kind}' if subject.exact else 'approx_quantile'}({value}, {_PROBABILITIES})"


_NAMES = ("p5", "p25", "p50", "p75", "p95")


def _add_time(subject: Subject, profile: ColumnProfile) -> None:
    seconds = f"epoch({subject.sql})"
    low, high, quantiles, first, last, points = subject.engine.row(
        f"SELECT {selectable(f'min({subject.sql})', subject.kind)}, "  # noqa: S608
        f"{selectable(f'max({subject.sql})', subject.kind)}, "
        f"CAST({_quantiles(subject, subject.sql, 'disc')} AS VARCHAR[]), "
        f"min({seconds}), max({seconds}), {_quantiles(subject, seconds, 'disc')} FROM data"
    )
    profile.min, profile.max = low, high
    profile.quantiles = Quantiles(**dict(zip(_NAMES, quantiles, strict=True)))
    if first is not None:
        spread = Spread(first, points[0], points[-1], last)
        profile.histogram = time_histogram(subject.engine, subject.sql, spread, subject.kind == "DATE")


def _add_text(subject: Subject, profile: ColumnProfile) -> None:
    text = f"CAST({subject.sql} AS VARCHAR)"
    low, high, shortest, longest = subject.engine.row(
        f"SELECT {selectable(f'min({text})', 'VARCHAR')}, {selectable(f'max({text})', 'VARCHAR')}, "  # noqa: S608
        f"min(length({text})), max(length({text})) FROM data"
    )
    profile.min, profile.max = as_json(low, "VARCHAR"), as_json(high, "VARCHAR")
    profile.min_length, profile.max_length = shortest, longest


def _add_binary(subject: Subject, profile: ColumnProfile) -> None:
    profile.min_length, profile.max_length = subject.engine.row(
        f"SELECT min(octet_length({subject.sql})), max(octet_length({subject.sql})) FROM data"  # noqa: S608
    )


def _add_ends(subject: Subject, profile: ColumnProfile) -> None:
    low, high = subject.engine.row(
        f"SELECT {selectable(f'min({subject.sql})', subject.kind)}, "  # noqa: S608
        f"{selectable(f'max({subject.sql})', subject.kind)} FROM data"
    )
    profile.min, profile.max = as_json(low, subject.kind), as_json(high, subject.kind)


def _add_nothing(subject: Subject, profile: ColumnProfile) -> None:
    """Lists and objects have neither an order nor a length that says much."""


_ADD = {
    Family.NUMBER: _add_number,
    Family.TIME: _add_time,
    Family.TEXT: _add_text,
    Family.BINARY: _add_binary,
    Family.ORDERED: _add_ends,
    Family.OPAQUE: _add_nothing,
}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _neat(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < 2**53 else float(f"{value:.12g}")
