"""A writer of workbooks. XlsxWriter has no types."""

from __future__ import annotations

from typing import Any

import xlsxwriter  # pyright: ignore[reportMissingTypeStubs]

new_workbook: Any = xlsxwriter.Workbook
