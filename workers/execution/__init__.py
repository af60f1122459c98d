"""Run authors' functions: in the event loop, in a thread, or in a process of their own."""

from __future__ import annotations

from workers.execution.perform import perform
from workers.execution.work import Work

__all__ = ["Work", "perform"]
