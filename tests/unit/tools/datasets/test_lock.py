"""What a query must not reach, tried from inside."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

import duckdb
import pytest

from tests.unit.tools.datasets.conftest import Open, dataset_from
from workers.tools.datasets import engine, query
from workers.tools.datasets.limits import Limits
from workers.tools.datasets.load import Dataset
from workers.tools.datasets.query import run_query
from workers.tools.datasets.refusal import QueryRefused

LOCKED = "A query can reach nothing but the table data"


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file beside the source; the attacks below name it as SECRET."""
    path = tmp_path_factory.mktemp("lock") / "secret.csv"
    path.write_text("password\nswordfish\n")
    return path


@pytest.fixture(scope="module", params=["csv", "parquet"])
def dataset(
    secret: Path, writer: duckdb.DuckDBPyConnection, request: pytest.FixtureRequest
) -> Generator[Dataset]:
    """One for all attacks: each must find it as it was."""
    path = secret.with_name(f"data.{request.param}")
    writer.execute(f"COPY (SELECT 1 AS a, 'x' AS b) TO '{path}'").fetchall()
    with dataset_from(path) as dataset:
        yield dataset


def attempt(dataset: Dataset, sql: str, secret: Path) -> str:
    """What the caller is told."""
    with pytest.raises(QueryRefused) as raised:
        run_query(dataset, sql.replace("SECRET", str(secret)), "csv", 10, lambda _: None)
    return str(raised.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_csv('SECRET')",
        "SELECT * FROM 'SECRET'",
        "SELECT * FROM 'file://SECRET'",
        "SELECT * FROM read_text('SECRET')",
        "SELECT * FROM read_blob('SECRET')",
        "SELECT * FROM read_json('SECRET')",
        "SELECT * FROM read_parquet('SECRET')",
        "SELECT * FROM parquet_metadata('SECRET')",
        "SELECT * FROM sniff_csv('SECRET')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('/etc/pass*')",
        "SELECT * FROM query('SELECT * FROM read_text(''SECRET'')')",
        "WITH x AS (SELECT * FROM read_text('SECRET')) SELECT * FROM x",
        "SELECT (SELECT content FROM read_text('SECRET'))",
        "SELECT * FROM data WHERE b IN (SELECT content FROM read_text('SECRET'))",
        "SELECT * FROM 'http://127.0.0.1:9/x.csv'",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "SELECT * FROM 's3://bucket/x.parquet'",
    ],
)
def test_no_file_and_no_url_is_read(dataset: Dataset, sql: str, secret: Path) -> None:
    said = attempt(dataset, sql, secret)
    assert LOCKED in said or "does not exist" in said
    assert "swordfish" not in said


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("ATTACH 'SECRET' AS other", "This is ATTACH"),
        ("COPY data TO 'SECRET'", "This is COPY"),
        ("COPY (SELECT 1) TO 'SECRET'", "This is COPY"),
        ("EXPORT DATABASE 'SECRET'", "This is EXPORT"),
        ("INSTALL httpfs", "This is LOAD"),
        ("LOAD httpfs", "This is LOAD"),
        ("SET memory_limit = '1TB'", "This is SET"),
        ("SET enable_external_access = true", "This is SET"),
        ("RESET memory_limit", "This is SET"),
        ("PRAGMA database_list", "This is PRAGMA"),
        ("CALL pragma_version()", "This is CALL"),
        ("DROP TABLE data", "This is DROP"),
        ("CREATE TABLE t AS SELECT 1", "This is CREATE"),
        ("INSERT INTO data VALUES (2, 'y')", "This is INSERT"),
        ("DELETE FROM data", "This is DELETE"),
        ("EXPLAIN ANALYZE SELECT 1", "This is EXPLAIN"),
        ("BEGIN", "This is TRANSACTION"),
        ("SELECT 1; SELECT 2", "has 2 statements"),
        ("SELECT 1; COPY data TO 'SECRET'", "has 2 statements"),
        ("PIVOT data ON b USING sum(a)", "Name the values"),
        ("SELECT $1", "has parameters"),
        ("SELECT ?", "has parameters"),
        ("", "is empty"),
        ("-- nothing", "is empty"),
        ("SELECT 1" + " " * 100_000, "at most 100,000"),
        ("WITH x AS (COPY data TO 'SECRET') SELECT * FROM x", "contains COPY"),
        ("WITH x AS (INSERT INTO data VALUES (2, 'y') RETURNING *) SELECT * FROM x", "contains INSERT"),
        ("WITH x AS (DELETE FROM data RETURNING *) SELECT * FROM x", "contains DELETE"),
        ("WITH x AS (UPDATE data SET a = 2 RETURNING *) SELECT * FROM x", "contains UPDATE"),
        ("SELECT * FROM query('COPY data TO ''SECRET''')", "Expected a single SELECT"),
        ("SELECT * FROM query('WITH x AS (COPY data TO ''SECRET'') SELECT 1')", "Binder Error"),
        ("SELECT 1) TO 'SECRET' (FORMAT csv); --", "Parser Error"),
        ("SELECT 1 /*", "Parser Error"),
        ("SELECT * FROM " + "(SELECT * FROM " * 6_000 + "data" + ")" * 6_000, "nested too deeply"),
        ("SELECT getenv('HOME')", "getenv does not exist"),
    ],
)
def test_only_one_select_is_run(dataset: Dataset, sql: str, says: str, secret: Path) -> None:
    before = secret.read_text()
    assert says in attempt(dataset, sql, secret)
    assert secret.read_text() == before
    assert dataset.engine.row("SELECT count(*), sum(a) FROM data") == (1, 1)


def test_variables_of_the_program_are_no_tables(dataset: Dataset, secret: Path) -> None:
    assert "does not exist" in attempt(dataset, "SELECT * FROM dataset", secret)
    assert "does not exist" in attempt(dataset, "SELECT * FROM secret", secret)


@pytest.mark.parametrize(
    "statement",
    [
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET allowed_directories",
        "SET allowed_paths = ['/etc/passwd']",
        "SET python_enable_replacements = true",
        "SET GLOBAL temp_directory = '/'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "ATTACH '/tmp/other.db'",
        "COPY (SELECT 1) TO '/tmp/other.csv'",
    ],
)
def test_the_engine_itself_stays_locked(dataset: Dataset, statement: str) -> None:
    """Even if a statement slipped through the check before it."""
    with pytest.raises(duckdb.Error):
        dataset.engine.rows(statement)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "WITH x AS (DELETE FROM data RETURNING *) SELECT * FROM x",
            ("cannot change anything", "base table"),
        ),
        ("WITH x AS (COPY data TO 'SECRET') SELECT * FROM x", (LOCKED,)),
    ],
)
def test_what_slips_through_the_check_is_stopped_by_the_engine(
    dataset: Dataset, sql: str, says: tuple[str, ...], secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unchecked(_: object, sql: str) -> str:
        return sql

    monkeypatch.setattr(query, "one_select", unchecked)
    said = attempt(dataset, sql, secret)
    assert any(part in said for part in says)
    assert dataset.engine.row("SELECT count(*) FROM data") == (1,)
    assert secret.read_text() == "password\nswordfish\n"


def test_nothing_is_installed_or_fetched_on_demand(dataset: Dataset) -> None:
    settings = dict(
        dataset.engine.rows(
            "SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%known_extensions'"
        )
    )
    assert settings == {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


def test_what_is_spilled_and_returned_is_limited(opened: Open) -> None:
    limits = Limits(engine_memory=80 * 2**20, spill=2**20)
    with (
        opened("a\n1\n", limits=limits) as dataset,
        pytest.raises(Exception, match="of memory and 1 MiB of disk"),
    ):
        run_query(dataset, "SELECT list(i) FROM range(20000000) t(i)", "parquet", 1, lambda _: None)
    limits = Limits(result=2**20)
    with opened("a\n1\n", limits=limits) as dataset, pytest.raises(QueryRefused, match="larger than 1 MiB"):
        run_query(dataset, "SELECT random() FROM range(500000000)", "parquet", 1, lambda _: None)


def test_an_engine_that_hears_no_interrupt_holds_nobody_up(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "INTERRUPT_SECONDS", 0.1)
    gate = threading.Event()
    with opened("a\n1\n") as dataset:
        dataset.engine.allow_seconds(0)
        with pytest.raises(QueryRefused, match="longer than its time limit"):
            dataset.engine.run(gate.wait)
    gate.set()
