"""What the tools return, as published in their output schemas.

Values are JSON: dates and times are ISO-like text; whole numbers beyond 2^53 and decimals of more than 15
digits are text, so that no reader rounds them; NaN and infinities are text.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from workers.artifact import Artifact
from workers.tools.datasets.loaded import RejectedRows

Value = Annotated[Any, Field(description="A JSON value.")]


class Quantiles(BaseModel):
    """The values below which 5, 25, 50, 75 and 95 percent of the others lie."""

    p5: Value
    p25: Value
    p50: Value
    p75: Value
    p95: Value


class TopValue(BaseModel):
    """A frequent value. share: of all rows, 0 to 1."""

    value: Value
    count: int
    share: float


class Bin(BaseModel):
    """One bar of a histogram: from `start` (included) to `end` (excluded, but for the last bar)."""

    start: Value
    end: Value
    count: int


class Histogram(BaseModel):
    """How the values are distributed.

    bin: what one bar spans: a number's width, or a unit of time such as "month". below, above: how many
    values lie outside the bars, because a few extremes would have squeezed all others into one.
    """

    bin: str
    bins: list[Bin]
    below: int = 0
    above: int = 0


class ColumnProfile(BaseModel):
    """One column. Everything but `nulls` speaks of the values that are not null."""

    name: str
    type: str = Field(description="DuckDB's name of the type.")
    nulls: int
    distinct: int
    min: Value = None
    max: Value = None
    mean: float | None = None
    stddev: float | None = None
    quantiles: Quantiles | None = None
    not_finite: int = Field(default=0, description="NaN and infinities; other statistics leave them out.")
    min_length: int | None = Field(default=None, description="Of text, in characters; of binary, in bytes.")
    max_length: int | None = None
    top_values: list[TopValue] = []
    histogram: Histogram | None = None


class ProfileSummary(BaseModel):
    """What is known about the dataset as a whole."""

    source: str
    format: str
    rows: int
    columns: int
    estimated: bool = Field(
        description="Whether distinct counts and quantiles are estimates, because the dataset is large."
    )
    rejected_rows: RejectedRows | None = None
    notes: list[str] = []


class FullProfile(ProfileSummary):
    """A dataset, column by column: what the JSON file holds."""

    column_profiles: list[ColumnProfile]


class DatasetProfile(FullProfile):
    """A dataset, column by column, with the files that were made of it."""

    chart: Artifact = Field(description="The distributions as a PNG image.")
    profile: Artifact = Field(description="This profile as JSON, with the histograms of all columns.")


class ResultColumn(BaseModel):
    """A column of a query's result."""

    name: str
    type: str


class QueryResult(BaseModel):
    """A query's result: its beginning as values, all of it as a file."""

    row_count: int
    columns: list[ResultColumn]
    rows: list[list[Value]] = Field(description="The first rows, in the order of `columns`.")
    truncated: bool = Field(
        description="Whether `rows` is less than the whole result; the file is always whole."
    )
    file: Artifact
    rejected_rows: RejectedRows | None = None
    notes: list[str] = []
