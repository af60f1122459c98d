"""The drawing: what its labels say, and that it can draw anything a profile holds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image

from tests.unit.tools.datasets.conftest import Open
from workers.tools.datasets.chart.labels import percent, short_number, short_time, short_value
from workers.tools.datasets.chart.panel import HEIGHT, MISSING, NUMBER, TIME, WIDTH
from workers.tools.datasets.chart.sheet import SCALE, as_png, draw_sheet
from workers.tools.datasets.chart.typeface import cut, font_for, printable
from workers.tools.datasets.profile import profile
from workers.tools.datasets.report import ColumnProfile, ProfileSummary


@pytest.mark.parametrize(
    ("number", "label"),
    [
        (0, "0"),
        (42.0, "42"),
        (0.25, "0.25"),
        (-1.5, "-1.5"),
        (2499.5, "2,500"),
        (9_999, "9,999"),
        (12_345, "12.3k"),
        (1_234_567, "1.23M"),
        (5e9, "5B"),
        (1e24, "1e24"),
        (0.000012, "1.2e-5"),
    ],
)
def test_numbers_are_short(number: float, label: str) -> None:
    assert short_number(number) == label


@pytest.mark.parametrize(
    ("start", "unit", "label"),
    [
        ("2020-01-01", "year", "2020"),
        ("2024-04-01", "quarter", "2024 Q2"),
        ("2024-05-01", "month", "May 2024"),
        ("2024-05-06", "week", "6 May 2024"),
        ("2024-05-06 13:00:00", "hour", "05-06 13:00"),
        ("2024-05-06 13:00:07", "second", "05-06 13:00:07"),
        ("0044-03-15 (BC)", "day", "0044-03-15 (BC)"),
    ],
)
def test_times_say_what_matters_for_their_unit(start: str, unit: str, label: str) -> None:
    assert short_time(start, unit) == label


@pytest.mark.parametrize(
    ("share", "label"),
    [(0, "0%"), (0.0004, "<0.1%"), (0.053, "5.3%"), (0.25, "25%"), (0.9999, ">99.9%"), (1, "100%")],
)
def test_shares_look_like_all_or_nothing_only_when_they_are(share: float, label: str) -> None:
    assert percent(share) == label


def test_values_of_every_kind_have_a_label() -> None:
    values: list[Any] = [None, True, 3, "", "x", {"a": "é"}, [1]]
    assert [short_value(value) for value in values] == [
        "null",
        "true",
        "3",
        "(empty)",
        "x",
        '{"a": "é"}',
        "[1]",
    ]


def test_text_is_cut_to_its_room() -> None:
    font = font_for("x", 20, bold=False)
    text = cut("a long name " * 20, font, 100)
    assert text.endswith("…")
    assert font.getlength(text) <= 100
    assert cut("short", font, 100) == "short"
    assert printable("a\nb\x00\u202ec") == "a b\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}c"


SUMMARY = ProfileSummary(source="x.csv", format="csv", rows=10, columns=1, estimated=False)


def colors_of(image: Image.Image) -> set[Any]:
    return {color for _, color in image.getcolors(maxcolors=1_000_000) or []}


def test_a_sheet_shows_every_kind_of_column(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "all.parquet"
    expressions = [
        "i % 7",
        "exp(i / 100.0)",
        "DATE '2024-01-01' + i::INTEGER",
        "['a', repeat('long ', 100), '名前😀'][1 + (i % 3)::INTEGER]",
        "'user ' || i",
        "i % 2 = 0",
        "NULL::INTEGER",
        "CASE WHEN i % 3 = 0 THEN NULL ELSE 5 END",
        "{'a': i % 2}",
        r"'\xAA'::BLOB",
        "'nan'::DOUBLE",
        "CASE i WHEN 3 THEN 1000000 ELSE i % 10 END",
        "(i % 3 - 1) * 1.7e308",
    ]
    with duckdb.connect() as connection:
        selected = ", ".join(
            f'{expression} AS "column {n} {"é" * 60}"' for n, expression in enumerate(expressions)
        )
        connection.execute(f"COPY (SELECT {selected} FROM range(500) t(i)) TO '{path}'")
    with opened(path) as dataset:
        summary, columns = profile(dataset, lambda index, count, name: None)
    image = draw_sheet(summary, columns, 100)
    assert image.width > 4 * WIDTH * SCALE
    assert image.height > 4 * HEIGHT * SCALE
    assert {NUMBER, TIME, MISSING} <= colors_of(image)
    with Image.open(io.BytesIO(as_png(image, as_laid_out=True))) as small:
        assert small.format == "PNG"
        assert small.size == (image.width // SCALE, image.height // SCALE)


def test_bars_are_as_high_as_their_counts() -> None:
    column = ColumnProfile.model_validate(
        {
            "name": "n",
            "type": "BIGINT",
            "nulls": 0,
            "distinct": 2,
            "histogram": {
                "bin": "1",
                "bins": [{"start": 0, "end": 1, "count": 100}, {"start": 1, "end": 2, "count": 25}],
            },
        }
    )
    image = draw_sheet(SUMMARY, [column], 1)
    heights = [
        sum(image.getpixel((x, y)) == NUMBER for y in range(image.height))
        for x in (24 + WIDTH // 4, 24 + WIDTH * 3 // 4)
        for x in (x * SCALE,)
    ]
    assert heights[0] == pytest.approx(4 * heights[1], abs=2)


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one_row_can_be_drawn(opened: Open, rows: int) -> None:
    with opened("a,b\n" + "1,x\n" * rows) as dataset:
        summary, columns = profile(dataset, lambda index, count, name: None)
    assert as_png(draw_sheet(summary, columns, 24)).startswith(b"\x89PNG")


def test_of_many_columns_the_first_are_drawn() -> None:
    columns = [ColumnProfile(name=f"c{n}", type="INTEGER", nulls=10, distinct=0) for n in range(500)]
    summary = SUMMARY.model_copy(update={"columns": 500})
    some, more = draw_sheet(summary, columns, 24), draw_sheet(summary, columns, 100)
    assert some.width == more.width
    assert some.height < more.height < 30 * HEIGHT * SCALE
    assert len(as_png(some, as_laid_out=True)) < 500_000
