"""What a function's docstring says about it, in any of the three usual styles."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import docstring_parser


@dataclass(frozen=True, slots=True)
class Docstring:
    """description: the summary and the text below it, without the sections. parameters: by name."""

    description: str
    parameters: dict[str, str]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Docstring:
        parsed = docstring_parser.parse(inspect.getdoc(function) or "")
        parameters = {
            parameter.arg_name: " ".join(parameter.description.split())
            for parameter in parsed.params
            if parameter.description
        }
        return cls((parsed.description or "").strip(), parameters)
