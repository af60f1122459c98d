"""What `ctx.step` needs to know about the function it runs: how its value becomes JSON and comes back."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from workers.names import check_name
from workers.port import TaskPort


class StepValue:
    """The JSON form of one step's value, by the function's return annotation (any JSON without one)."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(_returns(function))

    def to_json(self, value: Any) -> Any:
        return self._adapter.dump_python(value, mode="json", by_alias=True)

    def from_json(self, value: Any) -> Any:
        return self._adapter.validate_python(value)


class Steps:
    """The steps of one run. A name stands for one value, so a run may take it only once."""

    def __init__(self, port: TaskPort) -> None:
        self._port = port
        self._taken: set[str] = set()

    async def recall(self, name: str, value: StepValue) -> tuple[bool, Any]:
        """(True, what it returned) if an earlier attempt took this step."""
        check_name("a step", name)
        if name in self._taken:
            raise ValueError(f"step {name!r} was already taken in this run; name each one, like 'page-7'")
        self._taken.add(name)
        known, remembered = await self._port.recall(name)
        return known, value.from_json(remembered) if known else None

    async def remember(self, name: str, value: StepValue, result: Any) -> Any:
        """Keep `result`; what comes back is what a later attempt will see."""
        remembered = value.to_json(result)
        await self._port.remember(name, remembered)
        return value.from_json(remembered)


def is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(_innermost(function))


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _returns(function: Callable[..., Any]) -> Any:
    try:
        hints = typing.get_type_hints(_innermost(function), include_extras=True)
    except (TypeError, NameError):  # a builtin, or names known only to type checkers
        return Any
    return hints.get("return", Any)
