"""The one error with which sources are turned down."""

from __future__ import annotations

from workers.errors import ToolError


class SourceRefused(ToolError):
    """The caller named something this worker will not or cannot read; the message says what to do instead."""
