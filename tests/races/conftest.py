"""Two processes over one record."""

from __future__ import annotations

from tests.store.conftest import another, record

__all__ = ["another", "record"]
