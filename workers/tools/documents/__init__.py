"""Converts documents to Markdown. `--tools workers.tools.documents` offers `convert_document`."""

from __future__ import annotations

from workers.tools.documents.tool import convert_document

__all__ = ["convert_document"]
