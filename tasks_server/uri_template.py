"""URI templates as resources use them: RFC 6570 level 1, `scheme://path/{variable}/…`."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def variables_of(template: str) -> tuple[str, ...]:
    """The names of the template's variables, in order."""
    return tuple(VARIABLE.findall(template))


def match(template: str, uri: str) -> dict[str, str] | None:
    """The variables' values, percent-decoded, if the URI fits; a variable never spans a slash."""
    found = _pattern(template).fullmatch(uri)
    return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}


def matches(template: str, uri: str) -> bool:
    return _pattern(template).fullmatch(uri) is not None


@lru_cache(maxsize=1024)
def _pattern(template: str) -> re.Pattern[str]:
    pieces = VARIABLE.split(template)
    literal_then_name = [
        re.escape(piece) if index % 2 == 0 else f"(?P<{piece}>[^/]+)" for index, piece in enumerate(pieces)
    ]
    return re.compile("".join(literal_then_name))
