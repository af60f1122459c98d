"""What all who work on one data directory must agree on: the first decides, whoever comes later does the same.

Everybody holds `in-use.lock` in shared mode for as long as they run; only somebody who has it alone writes
`settings.json`. So what is written there holds for all, and the operating system knows when nobody is left.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks_server.embedded.locks import try_lock, unlock
from tasks_server.errors import ConfigurationError
from tasks_server.settings import Settings

# Where these differ, a task's result would depend on who happens to run it.
SHARED = (
    "database_url",
    "redis_url",  # empty: the embedded Valkey
    "artifact_dir",
    "artifact_url",  # empty: the directory
    "inline_result_bytes",
    "max_result_bytes",
    "file_roots",
    "fetch_https",
    "max_source_bytes",
    "lease_seconds",
    "tool_absence_seconds",
)
LOCK = "in-use.lock"
FILE = "settings.json"


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """values: JSON values by field. is_first: nobody else is at work. lock: held until it is closed."""

    values: Mapping[str, Any]
    is_first: bool
    lock: int

    def environment(self) -> dict[str, str]:
        """As `TASKS_…` variables."""
        return {
            f"TASKS_{field.upper()}": value if isinstance(value, str) else json.dumps(value)
            for field, value in self.values.items()
        }


@contextmanager
def agreed(directory: Path, given: Settings, defaults: Mapping[str, Any]) -> Generator[SharedSettings]:
    """Work on this directory for as long as the block lasts.

    defaults, as JSON values, are for fields that `given` does not name, if nobody else has decided. Raises
    ConfigurationError if `given` contradicts those who are at work.
    """
    lock = try_lock(directory / LOCK)
    is_first = lock is not None
    if lock is None:
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CLOEXEC)
    else:
        _write(directory / FILE, {**_values(given, SHARED), **defaults, **_named(given)})
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)  # waits only for somebody who is just writing
        yield _joined(directory, given, is_first=is_first, lock=lock)
    finally:
        unlock(lock)


@contextmanager
def joined(directory: Path, given: Settings) -> Generator[SharedSettings]:
    """Like `agreed`, for somebody who only makes sense beside a running `dev`: refused when there is none."""
    path = directory.absolute()
    if not _somebody_is_at_work(path):
        raise ConfigurationError(
            f"No `tasks-server dev` runs on {path}. Start one there first, or name the directory of one "
            "that runs with --data-dir."
        )
    with agreed(path, given, {}) as shared:
        yield shared


def _somebody_is_at_work(directory: Path) -> bool:
    if not (directory / FILE).exists():
        return False
    lock = try_lock(directory / LOCK)
    if lock is not None:
        unlock(lock)
    return lock is None


def _joined(directory: Path, given: Settings, *, is_first: bool, lock: int) -> SharedSettings:
    values: dict[str, Any] = json.loads((directory / FILE).read_text())
    for field, value in _named(given).items():
        if value != values.get(field, value):
            raise ConfigurationError(
                f"TASKS_{field.upper()} is {_shown(field, value)}, but who already runs on {directory} works "
                f"with {_shown(field, values[field])}. Set the same or nothing, or end the others first."
            )
    return SharedSettings(values, is_first, lock)


def _named(given: Settings) -> dict[str, Any]:
    """What the operator has set."""
    return _values(given, [field for field in SHARED if field in given.model_fields_set])


def _values(given: Settings, fields: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """As JSON values, which mean the same in every working directory."""
    values = given.model_dump(mode="json", include=set(fields))
    for field in values.keys() & {"artifact_dir", "file_roots"}:
        value = values[field]
        values[field] = str(Path(value).absolute()) if isinstance(value, str) else _absolute(value)
    return values


def _absolute(paths: list[str]) -> list[str]:
    return [str(Path(path).absolute()) for path in paths]


def _shown(field: str, value: Any) -> str:
    return "another" if field.endswith("_url") else json.dumps(value)  # a URL may hold a password


def _write(path: Path, values: Mapping[str, Any]) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(values, indent=2))
    draft.replace(path)
