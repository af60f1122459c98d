"""Two processes over one record, or over two roads to it."""

from __future__ import annotations

from tests.races.roads import roads
from tests.store.conftest import another, record

__all__ = ["another", "record", "roads"]
