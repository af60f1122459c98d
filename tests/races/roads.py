"""A process that reaches PostgreSQL through a proxy, and another one that needs none."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.store.record import Record, opened
from tests.support.cutting_proxy import CuttingProxy, cutting_proxy


class Roads(NamedTuple):
    """The proxy, the process behind it, and the other one."""

    proxy: CuttingProxy
    through: Record
    direct: Record


@pytest.fixture
async def roads(postgresql_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Roads]:
    async with (
        cutting_proxy(postgresql_url) as (proxy, url),
        opened(url, redis_url, tmp_path / "artifacts") as through,
        opened(postgresql_url, redis_url, tmp_path / "artifacts") as direct,
    ):
        yield Roads(proxy, through, direct)
