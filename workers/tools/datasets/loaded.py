"""What loading a dataset tells beside the table itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel, Field


class RejectedRow(BaseModel):
    """A row of the source that is not in the table."""

    line: int = Field(description="Line in the file, from 1.")
    reason: str
    text: str = Field(description="How the row begins.")


class RejectedRows(BaseModel):
    """Rows that do not fit the table's shape, with the first few of them."""

    count: int
    examples: list[RejectedRow]


@dataclass(slots=True)
class Loaded:
    """notes: what had to be decided to read the source, in sentences. tables: what may be queried."""

    notes: list[str] = field(default_factory=list[str])
    rejected: RejectedRows | None = None
    tables: list[str] = field(default_factory=lambda: ["data"])
