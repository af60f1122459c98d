from __future__ import annotations

from datetime import timedelta

import pytest

from workers.units import count_of, milliseconds, size_in_bytes, size_in_words


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("250ms", 250),
        ("90s", 90_000),
        ("30m", 1_800_000),
        ("1.5h", 5_400_000),
        (" 1 d ", 86_400_000),
        (timedelta(seconds=2), 2000),
        (None, None),
    ],
)
def test_durations_are_read_as_people_write_them(written: str | timedelta | None, meant: int | None) -> None:
    assert milliseconds(written) == meant


@pytest.mark.parametrize("written", ["30", "m", "-5s", "five minutes", "", "1h30m"])
def test_a_duration_that_cannot_be_read_says_how_to_write_one(written: str) -> None:
    with pytest.raises(ValueError, match="like '30m'"):
        milliseconds(written)


@pytest.mark.parametrize("written", ["0s", timedelta(0), timedelta(seconds=-1)])
def test_a_duration_is_positive(written: str | timedelta) -> None:
    with pytest.raises(ValueError, match="not a positive duration"):
        milliseconds(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1GiB", 2**30), ("512 MiB", 2**29), ("1.5KiB", 1536), ("2GB", 2 * 10**9), (4096, 4096), (None, None)],
)
def test_sizes_are_read_as_people_write_them(written: str | int | None, meant: int | None) -> None:
    assert size_in_bytes(written) == meant


@pytest.mark.parametrize("written", ["1G", "GiB", "", "-1GiB", 0, -4])
def test_a_size_that_cannot_be_read_is_refused(written: str | int) -> None:
    with pytest.raises(ValueError, match=r"not a (positive )?size"):
        size_in_bytes(written)


def test_a_count_is_told_with_its_noun() -> None:
    assert [count_of(number, "row") for number in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]


def test_a_size_is_told_in_its_largest_unit() -> None:
    assert [size_in_words(size) for size in (2**30, 3 * 2**19, 100)] == ["1 GiB", "1.5 MiB", "100 B"]
