"""The operator's page and the settings say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from tasks_server.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def shown(default: Any) -> str:
    """A default as an environment variable would hold it."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, bool):
        default = str(default).lower()
    if default is None:
        default = ""
    if default == ():
        default = "[]"
    if isinstance(default, float):
        default = f"{default:g}"
    assert default is not PydanticUndefined
    return f"`{default}`" if str(default) else ""


def rows() -> list[str]:
    return [
        f"| `TASKS_{name.upper()}` | {shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def test_the_table_of_settings_is_complete_and_true():
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("| `TASKS_")]
    assert table == rows()
