"""What the demo shows: steps, a progress bar, questions. Plain lines where there is no terminal."""

from __future__ import annotations

import os
import select
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

ANSWER_WITHIN_SECONDS = 30.0
PLAIN_BAR_EVERY = 0.25
WIDTH = 100


class Bar:
    """How far one call is. Plain output gets a line for every quarter instead of a bar."""

    def __init__(self, console: Console, label: str) -> None:
        self._console = console
        self._label = label
        self._next_line_at = 0.0
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(32),
            TextColumn("{task.fields[message]}", markup=False),
        )
        self._progress = Progress(
            *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
        )
        self._task: TaskID = self._progress.add_task(label, total=None, message="")

    def update(self, done: float, total: float | None, message: str) -> None:
        self._progress.update(self._task, completed=done, total=total, message=message)
        if not self._console.is_terminal and total and done / total >= self._next_line_at:
            self._next_line_at = done / total + PLAIN_BAR_EVERY
            self._console.print(f"  {self._label} {done / total:4.0%} {message}", markup=False)

    def finish(self, message: str) -> None:
        """Fill the bar, whatever the last update said."""
        self._progress.update(self._task, completed=1, total=1)
        self.end(message)

    def end(self, message: str) -> None:
        """Leave the bar where it is."""
        self._progress.update(self._task, message=message)
        if not self._console.is_terminal:
            self._console.print(f"  {self._label} {message}", markup=False)

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()


class Screen:
    """The terminal, and whoever sits at it."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar: Bar | None = None
        self._somebody_there = sys.stdin.isatty() and self._console.is_terminal and not os.environ.get("CI")

    def title(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold", markup=False)

    def line(self, text: str) -> None:
        self._console.print(f"  {text}", markup=False)

    def quote(self, text: str) -> None:
        """A line of somebody else's text, wrapped between words."""
        for line in textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False) or [""]:
            self._console.print(f"  │ {line}", style="dim", markup=False)

    @contextmanager
    def bar(self, label: str) -> Generator[Bar]:
        self._bar = Bar(self._console, label)
        self._bar.start()
        try:
            yield self._bar
        finally:
            self._bar.stop()
            self._bar = None

    def ask(self, message: str, schema: dict[str, Any]) -> dict[str, Any]:
        """Fill in the required fields of a form (an elicitation's JSON Schema).

        Never waits where nobody can answer.
        """
        if self._bar:
            self._bar.stop()
        self._console.print(f"  [bold yellow]?[/bold yellow] [bold]The tool asks:[/bold] {escape(message)}")
        required: list[str] = schema.get("required", [])
        answers = {name: self._field(name, schema["properties"][name]) for name in required}
        if self._bar:
            self._bar.start()
        return answers

    def _field(self, name: str, definition: dict[str, Any]) -> Any:
        label = definition.get("title", name)
        choices = _choices(definition)
        suggestion = _suggestion(definition)
        if self._somebody_there:
            hint = f" ({', '.join(choices)})" if choices else ""
            self._console.print(f"    {label}{hint} [{suggestion}]: ", end="", markup=False)
            typed = _read_line(ANSWER_WITHIN_SECONDS)
            if typed is not None:
                return _converted(typed, definition, suggestion)
            self._console.print()
        self._console.print(f"    {label}: {suggestion}   (nobody answered, so the demo did)", markup=False)
        return suggestion


def _choices(definition: dict[str, Any]) -> list[str]:
    if "oneOf" in definition:
        return [choice["const"] for choice in definition["oneOf"]]
    return definition.get("enum", [])


def _suggestion(definition: dict[str, Any]) -> Any:
    if "default" in definition:
        return definition["default"]
    if choices := _choices(definition):
        return choices[0]
    return {"boolean": True, "integer": 1, "number": 1.0}.get(definition.get("type", ""), "demo")


def _read_line(seconds: float) -> str | None:
    """What was typed before Enter, or None if nothing was within the time."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return sys.stdin.readline().strip() if ready else None


def _converted(typed: str, definition: dict[str, Any], suggestion: Any) -> Any:
    """The typed text as the field's type; the suggestion for an empty line or one that does not fit."""
    if not typed:
        return suggestion
    kind = definition.get("type")
    try:
        if kind == "boolean":
            return typed.lower() in ("y", "yes", "true", "1", "on")
        if kind == "integer":
            return int(typed)
        if kind == "number":
            return float(typed)
    except ValueError:
        return suggestion
    choices = _choices(definition)
    return typed if not choices or typed in choices else suggestion
