"""The one error with which sources are turned down."""

from __future__ import annotations


class ToolError(Exception):
    """Stands in for the author API's error of this name until that exists."""


class SourceRefused(ToolError):
    """The caller named something this worker will not or cannot read; the message says what to do instead."""
