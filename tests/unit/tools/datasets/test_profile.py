"""What a profile says about each kind of column, and how it says it in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.unit.tools.datasets.conftest import Open
from workers.tools.datasets.histogram import Spread
from workers.tools.datasets.markdown import profile_markdown
from workers.tools.datasets.profile import EXACT_ROWS, profile
from workers.tools.datasets.report import ColumnProfile, FullProfile

Profiled = Any


@pytest.fixture
def profiled(opened: Open, tmp_path: Path, writer: duckdb.DuckDBPyConnection) -> Profiled:
    """profiled(expression, rows): the profile of a column `x`; the expression may use the row number i."""

    def of_column(expression: str, rows: int = 1000, exact_rows: int = EXACT_ROWS) -> ColumnProfile:
        path = tmp_path / "column.parquet"
        writer.execute(f"COPY (SELECT {expression} AS x FROM range({rows}) t(i)) TO '{path}'").fetchall()
        with opened(path) as dataset:
            _, columns = profile(dataset, lambda index, count, name: None, exact_rows)
        return columns[0]

    return of_column


def bars(column: ColumnProfile) -> list[tuple[Any, Any, int]]:
    assert column.histogram is not None
    return [(bar.start, bar.end, bar.count) for bar in column.histogram.bins]


def test_numbers_are_summed_up(profiled: Profiled) -> None:
    column = profiled("CASE WHEN i % 10 = 0 THEN NULL ELSE i % 100 END")
    assert (column.nulls, column.distinct, column.min, column.max) == (100, 90, 1, 99)
    assert column.mean == pytest.approx(50)
    assert column.stddev == pytest.approx(28.85, abs=0.01)
    assert column.quantiles is not None
    assert column.quantiles.model_dump() == {"p5": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95}
    assert column.top_values[0].model_dump() == {"value": 1, "count": 10, "share": 0.01}
    assert len(column.top_values) == 10


@pytest.mark.parametrize("kind", ["TINYINT", "UBIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL(18,3)"])
def test_every_type_of_number_is_a_number(profiled: Profiled, kind: str) -> None:
    column = profiled(f"(i % 10)::{kind}", 100)
    assert (column.min, column.max, column.mean, column.quantiles.p50) == (0, 9, 4.5, 4.5)
    assert sum(count for _, _, count in bars(column)) == 100


def test_bars_of_numbers_have_round_edges_and_hold_every_value(profiled: Profiled) -> None:
    column = profiled("i / 7.0")
    edges = bars(column)
    assert (edges[0][0], edges[-1][1]) == (0, 145)
    assert {end - start for start, end, _ in edges} == {5}
    assert sum(count for _, _, count in edges) == 1000


def test_few_integers_get_a_bar_each(profiled: Profiled) -> None:
    column = profiled("i % 5 - 2")
    assert bars(column) == [(-2, -1, 200), (-1, 0, 200), (0, 1, 200), (1, 2, 200), (2, 3, 200)]
    assert column.histogram.bin == "1"


def test_a_few_extremes_do_not_squeeze_the_rest(profiled: Profiled) -> None:
    column = profiled("CASE i WHEN 7 THEN 1000000 WHEN 8 THEN -50000 ELSE i % 10 END")
    assert [(start, count) for start, _, count in bars(column)][:2] == [(0, 100), (1, 100)]
    assert (column.histogram.below, column.histogram.above) == (1, 1)
    assert (column.min, column.max) == (-50000, 1000000)


def test_a_spread_without_a_long_tail_is_shown_whole(opened: Open) -> None:
    with opened("a\n1\n") as dataset:
        assert Spread(0, 1, 9, 40).shown(dataset.engine, "a") == (0, 40)
        assert Spread(0, 5, 5, 1000).shown(dataset.engine, "a") == (0, 1000)


def test_what_is_not_finite_is_counted_apart(profiled: Profiled) -> None:
    column = profiled(
        "CASE i WHEN 0 THEN 'nan' WHEN 1 THEN 'inf' WHEN 2 THEN '-inf' ELSE '5' END::DOUBLE", 10
    )
    assert (column.not_finite, column.mean, column.min, column.max) == (3, 5, 5, 5)
    column = profiled("'nan'::DOUBLE", 3)
    assert (column.not_finite, column.mean, column.quantiles, column.histogram) == (3, None, None, None)


def test_huge_numbers_overflow_nothing(profiled: Profiled) -> None:
    column = profiled("CASE WHEN i % 2 = 0 THEN 1.7e308 ELSE -1.7e308 END")
    assert (column.min, column.max, column.stddev) == (-1.7e308, 1.7e308, None)
    assert column.histogram is None


@pytest.mark.parametrize(
    ("expression", "unit", "first", "number"),
    [
        ("DATE '2023-01-01' + i::INTEGER", "month", ("2023-01-01", "2023-02-01", 31), 33),
        ("DATE '2024-01-01' + (i % 30)::INTEGER", "day", ("2024-01-01", "2024-01-02", 34), 30),
        ("DATE '1900-01-01' + (i * 40)::INTEGER", "decade", ("1900-01-01", "1910-01-01", 92), 11),
        (
            "TIMESTAMP '2024-05-01 10:00:00' + INTERVAL (i) MINUTE",
            "hour",
            ("2024-05-01 10:00:00", "2024-05-01 11:00:00", 60),
            17,
        ),
        (
            "TIMESTAMPTZ '2024-05-01 10:00:00+02' + INTERVAL (i % 30) SECOND",
            "second",
            ("2024-05-01 08:00:00", "2024-05-01 08:00:01", 34),
            30,
        ),
    ],
)
def test_times_are_counted_by_a_fitting_unit(
    profiled: Profiled, expression: str, unit: str, first: tuple[str, str, int], number: int
) -> None:
    column = profiled(expression)
    assert column.histogram.bin == unit
    assert bars(column)[0] == first
    assert len(bars(column)) == number
    assert sum(count for _, _, count in bars(column)) == 1000


def test_a_gap_in_time_is_a_bar_without_height(profiled: Profiled) -> None:
    column = profiled("CASE i WHEN 0 THEN DATE '2024-01-01' ELSE DATE '2024-01-04' END", 5)
    assert [count for _, _, count in bars(column)] == [1, 0, 0, 4]


def test_a_placeholder_date_does_not_stretch_time(profiled: Profiled) -> None:
    column = profiled("CASE i WHEN 5 THEN DATE '9999-12-31' ELSE DATE '2024-01-01' + (i % 30)::INTEGER END")
    assert (column.histogram.bin, column.histogram.above, len(bars(column))) == ("day", 1, 30)
    assert column.max == "9999-12-31"


def test_infinite_times_are_left_out_of_the_bars(profiled: Profiled) -> None:
    column = profiled("CASE i WHEN 0 THEN 'infinity' ELSE '2024-01-01' END::TIMESTAMP", 10)
    assert column.max == "infinity"
    assert sum(count for _, _, count in bars(column)) == 9


def test_text_is_described_by_length_and_top_values(profiled: Profiled) -> None:
    column = profiled("['red', 'green', 'São Paulo'][1 + (i % 10 // 4)::INTEGER]")
    assert [(top.value, top.count) for top in column.top_values] == [
        ("green", 400),
        ("red", 400),
        ("São Paulo", 200),
    ]
    assert (column.min, column.max, column.min_length, column.max_length) == ("São Paulo", "red", 3, 9)
    assert column.histogram is None


def test_values_that_are_all_different_have_no_top(profiled: Profiled) -> None:
    column = profiled("'user ' || i")
    assert (column.distinct, column.top_values) == (1000, [])


@pytest.mark.parametrize(
    ("expression", "distinct", "top"),
    [
        ("i % 3 = 0", 2, False),
        ("{'a': i % 2}", 2, {"a": 0}),
        ("[i % 2, 5]", 2, [0, 5]),
        ("map {'k': i % 2}", 2, {"k": 0}),
        ("""('{"a": ' || (i % 2) || '}')::JSON""", 2, {"a": 0}),
        (r"'\xAA'::BLOB", 1, "qg=="),
        ("TIME '01:00:00'", 1, "01:00:00"),
        ("'01:00:00'::TIME_NS", 1, "01:00:00"),
        ("TIMESTAMP_NS '2024-01-01 00:00:00.123456789'", 1, "2024-01-01 00:00:00.123456789"),
        ("TIMESTAMP_S '2024-01-01 00:00:00'", 1, "2024-01-01 00:00:00"),
        ("'POINT(1 2)'::GEOMETRY", 1, "POINT (1 2)"),
        ("(i % 2)::VARIANT", 2, 0),
        ("INTERVAL 3 DAY", 1, "3 days"),
        ("'550e8400-e29b-41d4-a716-446655440000'::UUID", 1, "550e8400-e29b-41d4-a716-446655440000"),
        ("NULL::INTEGER", 0, None),
    ],
)
def test_every_other_type_has_a_profile(profiled: Profiled, expression: str, distinct: int, top: Any) -> None:
    column = profiled(expression, 9)
    assert column.distinct == distinct
    if distinct:
        assert column.top_values[0].value == top
    else:
        assert (column.nulls, column.top_values, column.histogram) == (9, [], None)


def test_large_datasets_are_estimated_and_say_so(opened: Open) -> None:
    content = "a,b\n" + "".join(f"{i},word {i % 50}\n" for i in range(20_000))
    with opened(content) as dataset:
        summary, (number, text) = profile(dataset, lambda index, count, name: None, exact_rows=10_000)
    assert summary.estimated
    assert number.distinct == pytest.approx(20_000, rel=0.1)
    assert number.quantiles is not None
    assert number.quantiles.p50 == pytest.approx(10_000, rel=0.05)
    assert text.distinct == pytest.approx(50, abs=5)
    assert text.top_values[0].count == 400
    assert "≈" in profile_markdown(summary, [number, text])


@pytest.mark.parametrize("rows", [0, 1])
def test_odd_columns_and_few_rows_make_no_trouble(opened: Open, rows: int) -> None:
    names = ["select", 'a"b', "a.b", "x y", "名前", "$1", "%s", "{}", "|", "--", "'"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    reported: list[tuple[int, int, str]] = []
    with opened(f"{header}\n" + (",".join("1" for _ in names) + "\n") * rows) as dataset:
        summary, columns = profile(dataset, lambda index, count, name: reported.append((index, count, name)))
    assert [column.name for column in columns] == names
    assert reported == [(index, len(names), name) for index, name in enumerate(names)]
    assert summary.rows == rows
    FullProfile(**summary.model_dump(), column_profiles=columns).model_dump_json()
    assert "| \\| |" in profile_markdown(summary, columns)


def test_markdown_tells_the_figures_and_the_doubts(opened: Open) -> None:
    with opened("Title\n\nid,city\n1,Rome\n2,Rome\n3\n4,a|b\n") as dataset:
        summary, columns = profile(dataset, lambda index, count, name: None)
    markdown = profile_markdown(summary, columns)
    assert markdown.splitlines() == [
        "**data.csv** (csv): 3 rows, 2 columns.",
        "",
        "- The first 2 lines were skipped: they stand above the table.",
        "- **1 row was rejected** and not counted; line 6, for example: Expected Number of Columns: 2 Found: 1",
        "",
        "| column | type | null | distinct | min | median | max | mean | most frequent |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| id | BIGINT | 0 | 3 | 1 | 2 | 4 | 2.33333 |  |",
        "| city | VARCHAR | 0 | 2 | Rome |  | a\\|b |  | Rome (66.7%) |",
    ]


def test_one_row_of_one_column_is_told_in_the_singular(opened: Open) -> None:
    with opened("city\nRome\n") as dataset:
        summary, columns = profile(dataset, lambda index, count, name: None)
    assert profile_markdown(summary, columns).startswith("**data.csv** (csv): 1 row, 1 column.\n")
