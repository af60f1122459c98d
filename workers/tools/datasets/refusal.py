"""The errors of the dataset tools. Their messages are all the calling model sees."""

from __future__ import annotations

from workers.errors import ToolError


class DatasetRefused(ToolError):
    """The source is empty, damaged, too large or of no supported kind; the message says what to do."""


class QueryRefused(ToolError):
    """The SQL cannot be run; the message says what is wrong and what the table looks like."""
