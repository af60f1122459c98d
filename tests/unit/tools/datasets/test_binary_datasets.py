"""Parquet files and workbooks."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path

import duckdb
import pytest

from tests.unit.tools.datasets.conftest import Open, contents
from tests.unit.tools.datasets.workbooks import new_workbook
from workers.tools.datasets.limits import Limits
from workers.tools.datasets.profile import profile
from workers.tools.datasets.refusal import DatasetRefused


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    """Two tables under titles, an empty sheet, and a hidden one."""
    path = tmp_path / "book.xlsx"
    with new_workbook(str(path)) as book:
        date = book.add_format({"num_format": "yyyy-mm-dd"})
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        book.add_worksheet("Nothing")
        orders = book.add_worksheet("My orders")
        orders.write(0, 1, "Orders of 2024")
        orders.write_row(2, 1, ["id", "on", "at", "price", "paid", "zip", "mixed", "id", "failed"])
        for row in range(3):
            orders.write(3 + row * 2, 1, row)  # with a blank row between each two
            orders.write_datetime(3 + row * 2, 2, dt.datetime(2024, 1, 1 + row), date)
            orders.write_datetime(3 + row * 2, 3, dt.datetime(2024, 1, 1, row), moment)
            orders.write_row(3 + row * 2, 4, [row + 0.5, row == 1, "00123", row or "none", 7])
            orders.write_formula(3 + row * 2, 9, "=1/0", None, "#DIV/0!")
        people = book.add_worksheet("People")
        people.write_row(0, 0, ["id", "name"])
        people.write_row(1, 0, [1, "Ann"])
        book.add_worksheet("Secret").hide()
    return path


def test_a_worksheet_becomes_a_table_with_types(opened: Open, workbook: Path) -> None:
    with opened(workbook) as dataset:
        assert dataset.columns == [
            ("id", "BIGINT"),
            ("on", "DATE"),
            ("at", "TIMESTAMP"),
            ("price", "DOUBLE"),
            ("paid", "BOOLEAN"),
            ("zip", "VARCHAR"),
            ("mixed", "VARCHAR"),
            ("id_1", "BIGINT"),
            ("failed", "VARCHAR"),
        ]
        assert contents(dataset) == [
            (0, dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 0), 0.5, False, "00123", "none", 7, None),
            (1, dt.date(2024, 1, 2), dt.datetime(2024, 1, 1, 1), 1.5, True, "00123", "1", 7, None),
            (2, dt.date(2024, 1, 3), dt.datetime(2024, 1, 1, 2), 2.5, False, "00123", "2", 7, None),
        ]
        assert dataset.loaded.notes == [
            "`data` is the sheet 'My orders'. Other sheets: 'Nothing', 'People', 'Secret'."
        ]


def test_a_sheet_is_chosen_by_name(opened: Open, workbook: Path) -> None:
    with opened(workbook, sheet="people") as dataset:
        assert contents(dataset) == [(1, "Ann")]
    with (
        pytest.raises(DatasetRefused, match=r"no sheet 'Persons'.*'My orders'"),
        opened(workbook, sheet="Persons"),
    ):
        pass
    with pytest.raises(DatasetRefused, match="'Nothing' is empty"), opened(workbook, sheet="Nothing"):
        pass


def test_every_sheet_can_be_queried_by_its_name(opened: Open, workbook: Path) -> None:
    with opened(workbook, every_sheet=True) as dataset:
        assert dataset.loaded.tables == ["data", "My orders", "People"]
        assert contents(dataset, "People") == [(1, "Ann")]
        assert contents(dataset, "My orders") == contents(dataset, "data")


def test_a_workbook_without_values_is_empty(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "empty.xlsx"
    with new_workbook(str(path)) as book:
        book.add_worksheet()
    with pytest.raises(DatasetRefused, match="no worksheet has a value"), opened(path):
        pass


def test_a_stray_value_far_away_is_refused_before_it_costs_memory(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "far.xlsx"
    with new_workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "a")
        sheet.write(1_048_575, 100, "stray")
    with pytest.raises(DatasetRefused, match="1,048,576 rows by 101 columns"), opened(path):
        pass


def test_formats_far_away_are_no_values(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "formatted.xlsx"
    with new_workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write_column(0, 0, ["a", "x"])
        sheet.write_blank(1_048_575, 16_383, None, book.add_format({"bold": True}))
    with opened(path) as dataset:
        assert contents(dataset) == [("x",)]


def test_a_workbook_bomb_is_refused(opened: Open, workbook: Path) -> None:
    with (
        pytest.raises(DatasetRefused, match="once unpacked"),
        opened(workbook, limits=Limits(unpacked=1_000)),
    ):
        pass


def test_damaged_and_foreign_archives_say_so(opened: Open, workbook: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetRefused, match="is damaged"), opened(workbook.read_bytes()[:-200], "cut.xlsx"):
        pass
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("data.csv", "a,b")
    with pytest.raises(DatasetRefused, match="ZIP archive but not an XLSX"), opened(tmp_path / "other.zip"):
        pass
    with zipfile.ZipFile(tmp_path / "hollow.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<nonsense")
    with pytest.raises(DatasetRefused, match="workbook is damaged"), opened(tmp_path / "hollow.xlsx"):
        pass
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    with pytest.raises(DatasetRefused, match="old binary Excel"), opened(ole, "old.xls"):
        pass
    encrypted = ole + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(DatasetRefused, match="protected by a password"), opened(encrypted, "secret.xlsx"):
        pass


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT i, hash(i) AS h, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS at FROM range(200000) t(i)) "
            f"TO '{path}' (ROW_GROUP_SIZE 50000)"
        )
    return path


def test_parquet_is_read_where_it_lies(opened: Open, parquet: Path) -> None:
    with opened(parquet) as dataset:
        assert dataset.columns == [("i", "BIGINT"), ("h", "UBIGINT"), ("at", "TIMESTAMP WITH TIME ZONE")]
        assert dataset.engine.row("SELECT count(*), sum(i) FROM data") == (200_000, 19_999_900_000)


def test_damaged_parquet_says_so_wherever_the_damage_is(opened: Open, parquet: Path) -> None:
    whole = parquet.read_bytes()
    with pytest.raises(DatasetRefused, match="is damaged"), opened(whole[:-100], "cut.parquet"):
        pass
    middle = len(whole) // 2
    broken = whole[:middle] + bytes(20_000) + whole[middle + 20_000 :]
    with opened(broken, "broken.parquet") as dataset, pytest.raises(DatasetRefused, match="is damaged"):
        profile(dataset, lambda index, count, name: None)


def test_encrypted_parquet_says_so(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "secret.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET force_mbedtls_unsafe = 'true'")
        connection.execute("PRAGMA add_parquet_key('key', '0123456789112345')")
        connection.execute(f"COPY (SELECT 1 AS a) TO '{path}' (ENCRYPTION_CONFIG {{footer_key: 'key'}})")
    with pytest.raises(DatasetRefused, match="is encrypted"), opened(path):
        pass
