"""CSV, TSV and JSON as they come: other encodings, other delimiters, broken rows."""

from __future__ import annotations

import gzip
import random

import pytest

from tests.unit.tools.datasets.conftest import Open, contents
from workers.tools.datasets.limits import Limits
from workers.tools.datasets.refusal import DatasetRefused


@pytest.mark.parametrize(
    ("content", "name", "columns", "rows"),
    [
        ("a,b\n1,x\n2,y\n", "plain.csv", [("a", "BIGINT"), ("b", "VARCHAR")], [(1, "x"), (2, "y")]),
        ("a;b\n1,5;x\n2,5;y\n", "semicolons.csv", [("a", "VARCHAR"), ("b", "VARCHAR")], [("1,5", "x"), ("2,5", "y")]),
        ("a\tb\n1\t2,3\n", "tabs.tsv", [("a", "BIGINT"), ("b", "VARCHAR")], [(1, "2,3")]),
        ("a|b\n1|2\n", "pipes.txt", [("a", "BIGINT"), ("b", "BIGINT")], [(1, 2)]),
        ("名前,prénom x\n太郎,1\n", "names.csv", [("名前", "VARCHAR"), ("prénom x", "BIGINT")], [("太郎", 1)]),
        ("a,a,\n1,2,3\n", "twice.csv", [("a", "BIGINT"), ("a_1", "BIGINT"), ("column2", "BIGINT")], [(1, 2, 3)]),
        ("1,2\n3,4\n", "headless.csv", [("column0", "BIGINT"), ("column1", "BIGINT")], [(1, 2), (3, 4)]),
        ("zip\n00123\n04567\n", "zeros.csv", [("zip", "VARCHAR")], [("00123",), ("04567",)]),
        ("a,b\n", "header.csv", [("a", "VARCHAR"), ("b", "VARCHAR")], []),
        ("a,b\r\n1,2\n3,4\r\n", "newlines.csv", [("a", "BIGINT"), ("b", "BIGINT")], [(1, 2), (3, 4)]),
        ('a,b\n1,"x\ny"\n', "quoted.csv", [("a", "BIGINT"), ("b", "VARCHAR")], [(1, "x\ny")]),
        ('{"a":1}\n\n{"b":[2]}\n', "lines.jsonl", [("a", "BIGINT"), ("b", "BIGINT[]")], [(1, None), (None, [2])]),
        ('[{"a":1},{"a":"x"}]', "array.json", [("a", "JSON")], [("1",), ('"x"',)]),
        ('{"a":1,"a":2}\n', "twice.jsonl", [("a", "BIGINT")], [(2,)]),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and "\n" not in value else "",
)  # fmt: skip
def test_text_becomes_a_table(opened: Open, content: str, name: str, columns: object, rows: object) -> None:
    with opened(content, name) as dataset:
        assert dataset.columns == columns
        assert contents(dataset) == rows
        assert dataset.loaded.rejected is None


def test_one_late_word_makes_a_column_text_instead_of_losing_its_row(opened: Open) -> None:
    content = "id,v\n" + "".join(f"{i},{i}\n" for i in range(30_000)) + "30000,unknown\n"
    with opened(content) as dataset:
        assert dataset.columns == [("id", "BIGINT"), ("v", "VARCHAR")]
        assert dataset.engine.row("SELECT count(*), max(id) FROM data") == (30_001, 30_000)
        assert dataset.loaded.rejected is None


def test_ragged_rows_are_counted_and_shown(opened: Open) -> None:
    with opened("a,b,c\n1,x,2\n2,y\n3,z,4,5\n4,w,6\n") as dataset:
        assert contents(dataset) == [(1, "x", 2), (4, "w", 6)]
        rejected = dataset.loaded.rejected
        assert rejected is not None
        assert rejected.count == 2
        assert [(row.line, row.text) for row in rejected.examples] == [(3, "2,y"), (4, "3,z,4,5")]
        assert rejected.examples[0].reason == "Expected Number of Columns: 3 Found: 2"


def test_rows_swallowed_by_an_open_quotation_mark_are_all_counted(opened: Open) -> None:
    content = "a,b\n" + "1,2\n" * 5_000 + '3,"open\n' + "4,5\n" * 10
    with opened(content) as dataset:
        (read,) = dataset.engine.row("SELECT count(*) FROM data")
        rejected = dataset.loaded.rejected.count if dataset.loaded.rejected else 0
        assert read + rejected == 5_011


def test_unbalanced_quotation_marks_are_read_as_characters(opened: Open) -> None:
    with opened('a,b\n1,"open\n2,"open\n') as dataset:
        assert contents(dataset) == [(1, '"open'), (2, '"open')]
        assert "quotation marks" in dataset.loaded.notes[0]


def test_a_title_above_the_table_is_skipped_and_said_so(opened: Open) -> None:
    with opened("Sales report 2024\n\nid,name\n1,a\n2,b\n") as dataset:
        assert contents(dataset) == [(1, "a"), (2, "b")]
        assert dataset.loaded.notes == ["The first 2 lines were skipped: they stand above the table."]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_in_every_dress_is_recognised(opened: Open, encoding: str) -> None:
    with opened("name,b\ncafé,1\n".encode(encoding)) as dataset:
        assert dataset.columns == [("name", "VARCHAR"), ("b", "BIGINT")]
        assert contents(dataset) == [("café", 1)]
        assert dataset.loaded.notes == []


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1252", ["René", "Orléans", "Müller", "Zoë"]),
        ("cp1251", ["Иван", "Москва", "Мария", "Петербург"]),
        ("shift_jis", ["太郎", "東京", "花子", "大阪"]),
        ("gb18030", ["张伟", "北京", "王芳", "上海"]),
    ],
)
def test_another_encoding_is_guessed_and_said_so(opened: Open, encoding: str, words: list[str]) -> None:
    content = "id,word\n" + "".join(f"{i},{words[i % 4]}\n" for i in range(40))
    with opened(content.encode(encoding)) as dataset:
        assert contents(dataset)[:4] == list(enumerate(words))
        assert "which is a guess" in dataset.loaded.notes[0]


def test_a_named_encoding_is_taken_at_its_word(opened: Open) -> None:
    with opened("день\nЮлий\n".encode("koi8-r"), encoding="koi8-r") as dataset:
        assert contents(dataset) == [("Юлий",)]
        assert dataset.loaded.notes == []


@pytest.mark.parametrize("encoding", ["nonsense", "hex", "", "a\0b"])
def test_an_encoding_that_is_none_is_refused(opened: Open, encoding: str) -> None:
    with (
        pytest.raises(DatasetRefused, match="is not a known text encoding"),
        opened("a\n1\n", encoding=encoding),
    ):
        pass


def test_a_few_damaged_bytes_leave_the_rest_readable(opened: Open) -> None:
    with opened("a,b\n1,café\n2,x?y\n".encode().replace(b"?", b"\xff")) as dataset:
        assert contents(dataset) == [(1, "café"), (2, "x\N{REPLACEMENT CHARACTER}y")]
        assert "1 character is not valid utf-8" in dataset.loaded.notes[0]


def test_gzip_is_unpacked(opened: Open) -> None:
    with opened(gzip.compress(b"a,b\n1,2\n"), "a.csv.gz") as dataset:
        assert contents(dataset) == [(1, 2)]
    with opened(gzip.compress(b'{"a":1}\n{"a":2}\n'), "a.jsonl.gz") as dataset:
        assert contents(dataset) == [(1,), (2,)]


def test_a_decompression_bomb_is_stopped_early(opened: Open) -> None:
    bomb = gzip.compress(b"a,b\n" + b"1,2\n" * 3_000_000)
    with (
        pytest.raises(DatasetRefused, match="more than 1 MiB of text once decompressed"),
        opened(bomb, "bomb.csv.gz", limits=Limits(unpacked=1024 * 1024)),
    ):
        pass


def test_broken_json_lines_are_counted_and_shown(opened: Open) -> None:
    with opened('{"a":1}\n{"a":2\n{"a":3}\nnonsense\n', "a.jsonl") as dataset:
        assert contents(dataset) == [(1,), (3,)]
        rejected = dataset.loaded.rejected
        assert rejected is not None
        assert rejected.count == 2
        assert [(row.line, row.text) for row in rejected.examples] == [(2, '{"a":2'), (4, "nonsense")]


def test_records_with_few_keys_in_common_still_have_columns(opened: Open) -> None:
    content = "\n".join(f'{{"k{i}": {i}}}' for i in range(300))
    with opened(content, "sparse.jsonl") as dataset:
        assert [name for name, _ in dataset.columns] == [f"k{i}" for i in range(300)]


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"", "a.csv", "is empty (0 bytes). Write or download it again"),
        (b" \n\r\n", "a.csv", "holds nothing but blanks. Write or download it again"),
        (gzip.compress(b"", mtime=0), "a.csv.gz", "nothing is left after decompression"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-12], "a.csv.gz", "cannot be decompressed"),
        (b"%PDF-1.7 ...", "a.csv", "is a PDF document"),
        (b"SQLite format 3\0...", "a.db", "is an SQLite database"),
        (b"<!DOCTYPE html><html>", "a.csv", "is a web page"),
        (random.Random(1).randbytes(5_000), "a.csv", "is not text"),
        (b"hello", "a.json", "not valid"),
        (b'[{"a":1},{"a":2', "a.json", "unexpected end of data. Repair it there, or write"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "a.json", "recursion depth"),
        (b"not a parquet file", "a.parquet", "is damaged: its content is not that of a parquet file"),
        (b"name,amount\n1,a,2\n2,b,3\n", "a.csv", "None of 2 rows could be read"),
        (b"a,b\n1," + b"x" * 9_000_000 + b"\n2,y\n", "a.csv", "a line of more than 8 MiB"),
        (
            ",".join(f"c{i}" for i in range(2_001)).encode() + b"\n",
            "a.csv",
            "has 2,001 columns; at most 2,000",
        ),
    ],
)
def test_what_cannot_be_read_says_why(opened: Open, content: bytes, name: str, says: str) -> None:
    with pytest.raises(DatasetRefused) as raised, opened(content, name):
        pass
    assert says in str(raised.value)
    assert "/tmp" not in str(raised.value), "directories of the worker are nobody's business"
