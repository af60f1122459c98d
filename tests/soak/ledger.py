"""What the tools of the soak really did, written outside the product: one line per effect, in a file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

LEDGER_VARIABLE = "SOAK_LEDGER"


class Effect(StrEnum):
    """`ran` the function of a step was executed; `kept` the step has returned, `by` the attempt that executed it;
    `ticked` a tool without end is still at it."""

    RAN = "ran"
    KEPT = "kept"
    TICKED = "ticked"


@dataclass(frozen=True, slots=True)
class Entry:
    """One effect. by: the attempt whose execution it goes back to. at: Unix time in milliseconds.

    pid: of the process that did it.
    """

    effect: str
    task_id: str
    step: str
    attempt: int
    by: int
    at: int
    pid: int


def write(effect: Effect, task_id: str, step: str, attempt: int, by: int | None = None) -> None:
    """Append a line. One write each, so that whoever is killed leaves whole lines and blocks nobody."""
    now = int(time.time() * 1000)
    entry = Entry(effect, task_id, step, attempt, attempt if by is None else by, now, os.getpid())
    ledger = os.open(os.environ[LEDGER_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(ledger, json.dumps(asdict(entry)).encode() + b"\n")
    finally:
        os.close(ledger)


def read(path: Path) -> Iterator[Entry]:
    """Every effect, in the order of writing."""
    if path.exists():
        for line in path.read_text().splitlines():
            yield Entry(**json.loads(line))
