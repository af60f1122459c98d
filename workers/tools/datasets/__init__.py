"""Profiles datasets and queries them with SQL. `--tools workers.tools.datasets` offers both tools."""

from __future__ import annotations

from workers.tools.datasets.tool import profile_dataset, query_dataset

__all__ = ["profile_dataset", "query_dataset"]
