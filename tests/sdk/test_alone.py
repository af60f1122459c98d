"""The extension needs the SDK, and nothing else of what this project is or installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh Python has loaded after this."""
    script = f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_the_extension_loads_what_the_sdk_loads_and_itself() -> None:
    added = loaded_by("import tasks_server.client") - loaded_by("import mcp")
    ours = {name for name in added if name.partition(".")[0] == "tasks_server"}
    assert {name for name in ours if not name.startswith("tasks_server.client")} == {"tasks_server"}
    assert {name.partition(".")[0] for name in added - ours} <= sys.stdlib_module_names
