"""What a query gives back."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from pathlib import Path

import duckdb
import pytest

from tests.unit.tools.datasets.conftest import Open, dataset_from
from workers.errors import TaskCancelled
from workers.tools.datasets.limits import Limits
from workers.tools.datasets.load import Dataset, rising
from workers.tools.datasets.names import distinct_names
from workers.tools.datasets.query import Answer, ResultFormat, run_query
from workers.tools.datasets.refusal import QueryRefused

SALES = "city,amount\nRome,1.5\nParis,2.5\nRome,3.0\n"
ENDLESS = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range % 7 = 3"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Generator[Dataset]:
    """A dataset of one row, for queries that bring their own values."""
    path = tmp_path_factory.mktemp("query") / "one.csv"
    path.write_text("a\n1\n")
    with dataset_from(path) as dataset:
        yield dataset


def ask(dataset: Dataset, sql: str, result_format: ResultFormat = "parquet", rows: int = 100) -> Answer:
    return run_query(dataset, sql, result_format, rows, lambda _: None)


def read_back(path: Path) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(f"SELECT * FROM '{path}'").fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT city, sum(amount) AS total FROM data GROUP BY city ORDER BY total DESC",
        "WITH t AS (SELECT city, sum(amount) AS total FROM data GROUP BY city) FROM t ORDER BY total DESC",
        "SELECT city, sum(amount) AS total FROM data GROUP BY ALL ORDER BY ALL DESC;  -- that is it; no more",
        "/* first */ SELECT city, sum(amount) AS total FROM data GROUP BY 1 ORDER BY 2 DESC /* last */ ; /* really */",
    ],
)
def test_a_select_gives_rows_and_a_file(opened: Open, sql: str) -> None:
    with opened(SALES) as dataset:
        answer = ask(dataset, sql)
        assert [(column.name, column.type) for column in answer.columns] == [
            ("city", "VARCHAR"),
            ("total", "DOUBLE"),
        ]
        assert answer.rows == [["Rome", 4.5], ["Paris", 2.5]]
        assert (answer.row_count, answer.truncated) == (2, False)
        assert read_back(answer.file) == [("Rome", 4.5), ("Paris", 2.5)]


def test_the_file_can_be_csv_with_json_in_it(opened: Open) -> None:
    with opened(SALES) as dataset:
        answer = ask(dataset, "SELECT city, [amount, NULL] AS l, {'a': amount} AS s FROM data LIMIT 1", "csv")
        assert answer.file.read_text() == 'city,l,s\nRome,"[1.5,null]","{""a"":1.5}"\n'
        assert answer.rows == [["Rome", [1.5, None], {"a": 1.5}]]


def test_the_preview_is_the_beginning_and_the_file_is_whole(opened: Open) -> None:
    with opened("a\n1\n") as dataset:
        answer = ask(dataset, "SELECT i FROM range(5000) t(i) ORDER BY i DESC", rows=3)
        assert answer.rows == [[4999], [4998], [4997]]
        assert (answer.row_count, answer.truncated) == (5000, True)
        assert len(read_back(answer.file)) == 5000


def test_the_preview_is_limited_in_bytes(opened: Open) -> None:
    with opened("a\n1\n", limits=Limits(preview=2_000)) as dataset:
        answer = ask(dataset, "SELECT repeat('x', 400) AS text FROM range(100)")
        assert len(answer.rows) == 4
        assert answer.truncated


def test_no_rows_is_a_result_too(opened: Open) -> None:
    with opened(SALES) as dataset:
        answer = ask(dataset, "SELECT * FROM data WHERE amount > 100", "csv")
        assert (answer.rows, answer.row_count, answer.truncated) == ([], 0, False)
        assert answer.file.read_text() == "city,amount\n"


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("9007199254740992", 9007199254740992),
        ("9007199254740993", "9007199254740993"),
        ("sum(1)", 1),
        ("12345678901234567890123456789012345678::HUGEINT", "12345678901234567890123456789012345678"),
        ("340282366920938463463374607431768211455::UHUGEINT", "340282366920938463463374607431768211455"),
        ("1.10::DECIMAL(5,2)", 1.1),
        ("1234567890123456.78::DECIMAL(20,2)", "1234567890123456.78"),
        ("'nan'::DOUBLE", "NaN"),
        ("'-inf'::DOUBLE", "-Infinity"),
        ("DATE '2024-02-29'", "2024-02-29"),
        ("'infinity'::DATE", "infinity"),
        ("TIMESTAMP '2024-01-02 03:04:05.678'", "2024-01-02 03:04:05.678"),
        ("TIMESTAMPTZ '2024-01-02 03:04:05+02'", "2024-01-02 01:04:05+00"),
        ("TIME '01:02:03'", "01:02:03"),
        ("INTERVAL '1 month 2 days'", "1 month 2 days"),
        (r"'\xAA\x00'::BLOB", "qgA="),
        ("'101'::BIT", "101"),
        ("'550e8400-e29b-41d4-a716-446655440000'::UUID", "550e8400-e29b-41d4-a716-446655440000"),
        ("[1, NULL]", [1, None]),
        ("{'a': [{'b': DATE '2024-01-01'}]}", {"a": [{"b": "2024-01-01"}]}),
        ("map {'k': 1.5}", {"k": 1.5}),
        ("union_value(x := 1)", {"x": 1}),
        ("(1, 'x')", [1, "x"]),
        ("""'{"a": 9007199254740993}'::JSON""", {"a": "9007199254740993"}),
        ("'b'::ENUM('a', 'b')", "b"),
        ("true", True),
        ("NULL", None),
        ("repeat('é', 600)", "é" * 500 + "…"),
    ],
)
def test_every_type_becomes_json_without_losing_digits(one: Dataset, expression: str, shown: object) -> None:
    for result_format in ("parquet", "csv"):
        answer = ask(one, f"SELECT {expression} AS value FROM data", result_format)
        assert answer.rows == [[shown]]
        json.dumps(answer.rows, allow_nan=False)


def test_large_integers_survive_in_parquet(opened: Open) -> None:
    with opened("a\n1\n") as dataset:
        answer = ask(dataset, "SELECT 12345678901234567890123456789012345678::HUGEINT AS h")
        assert str(read_back(answer.file)[0][0]) == "12345678901234567890123456789012345678"


def test_columns_of_one_name_are_told_apart(opened: Open) -> None:
    with opened(SALES) as dataset:
        answer = ask(dataset, 'SELECT city, amount AS city, 1 AS "CITY", 2 AS "a""|b" FROM data LIMIT 1')
        assert [column.name for column in answer.columns] == ["city", "city_1", "CITY_2", 'a"|b']
        assert answer.rows == [["Rome", 1.5, 1, 2]]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "SELECT citi FROM data",
            ['Candidate bindings: "city"', 'Columns of data: "city" VARCHAR, "amount" DOUBLE.'],
        ),
        ("SELECT * FROM dat", ['Did you mean "data"?', "Columns of data:"]),
        (
            "SELECT * FROM nope",
            ['Table with name nope does not exist!\nDid you mean "data"?\n\nColumns of data:'],
        ),
        ("SELECT summ(amount) FROM data", ['Did you mean "sum"?']),
        ("SELECT FROM data WHERE", ["Parser Error", "LINE 1"]),
        ("SELECT CAST(city AS INTEGER) FROM data", ["Could not convert string 'Rome' to INT32"]),
        ("SELECT city, sum(amount) FROM data", ["must appear in the GROUP BY clause"]),
        ("SELECT error('own message')", ["own message"]),
    ],
)
def test_errors_help_to_repair_the_query(opened: Open, sql: str, says: list[str]) -> None:
    with opened(SALES) as dataset:
        with pytest.raises(QueryRefused) as raised:
            ask(dataset, sql)
        for part in says:
            assert part in str(raised.value)
        assert str(dataset.engine.scratch) not in str(raised.value)


def test_a_query_past_its_time_is_stopped(opened: Open) -> None:
    with opened(SALES) as dataset:
        dataset.engine.allow_seconds(0.1)
        with pytest.raises(QueryRefused, match="longer than its time limit"):
            ask(dataset, ENDLESS)


def test_cancelling_interrupts_the_engine(opened: Open) -> None:
    with opened(SALES) as dataset:
        engine = dataset.engine
        progressing = threading.Event()
        canceller = threading.Thread(target=lambda: (progressing.wait(30), engine.cancel()))
        canceller.start()
        with pytest.raises(TaskCancelled):
            run_query(dataset, ENDLESS, "csv", 1, lambda _: progressing.set())
        canceller.join()
        assert progressing.is_set()
        with pytest.raises(TaskCancelled):
            engine.rows("SELECT 1")


def test_what_a_progress_report_raises_stops_the_engine(opened: Open) -> None:
    def stop(_: float) -> None:
        raise TaskCancelled

    with opened(SALES) as dataset:
        with pytest.raises(TaskCancelled):
            run_query(dataset, ENDLESS, "csv", 1, stop)
        assert dataset.engine.row("SELECT 42") == (42,)


def test_a_second_attempt_to_read_does_not_set_progress_back() -> None:
    reported: list[float] = []
    report = rising(reported.append)
    for percent in (10.0, 50.0, 5.0, 50.0, 60.0):
        report(percent)
    assert reported == [10, 50, 60]


def test_progress_only_grows(opened: Open) -> None:
    reported: list[float] = []
    with opened("a\n1\n") as dataset:
        sql = "SELECT i % 100 AS g, count(DISTINCT hash(i)) FROM range(8000000) t(i) GROUP BY g"
        run_query(dataset, sql, "parquet", 1, reported.append)
    assert reported
    assert reported == sorted(reported)
    assert all(0 < percent <= 100 for percent in reported)


def test_a_result_of_too_many_columns_is_refused_at_once(one: Dataset) -> None:
    columns = one.engine.limits.columns
    with pytest.raises(QueryRefused, match=f"The result has {columns + 1:,} columns"):
        ask(one, "SELECT 1" + ", 1" * columns)


def test_thousands_of_equal_names_are_told_apart() -> None:
    names = distinct_names(["a", "A_1", *["A"] * 20_000])  # a minute, if each were counted from one
    assert names[:4] == ["a", "A_1", "A_2", "A_3"]
    assert len({name.casefold() for name in names}) == len(names)
