"""The record, on each kind of database, with a real Valkey beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.store.record import Record, opened


@pytest.fixture
async def record(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Record]:
    """The parts of one process."""
    async with opened(database_url, redis_url, tmp_path / "artifacts") as record:
        yield record


@pytest.fixture
async def another(
    record: Record, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncGenerator[Record]:
    """The parts of a second process over the same database and Valkey."""
    async with opened(database_url, redis_url, tmp_path / "artifacts") as another:
        yield another
