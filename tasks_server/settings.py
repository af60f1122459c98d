"""One frozen Settings, read from `TASKS_…` environment variables and checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from tasks_server.errors import ConfigurationError

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


class Settings(BaseSettings):
    """Everything an operator can set. `docs/operations.md` has the table; a test keeps the two in step."""

    model_config = SettingsConfigDict(env_prefix="TASKS_", env_ignore_empty=True, frozen=True, extra="ignore")

    database_url: str = Field(
        default="",
        description="SQLAlchemy URL: `sqlite+aiosqlite:///path/to/file` or `postgresql+asyncpg://user@host/name`.",
    )
    redis_url: str = Field(
        default="", description="`redis://host:port/db`, `rediss://…`, or `unix:///path/to/socket`."
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="At least 32 characters; seals request state. Every replica needs the same one.",
    )
    artifact_dir: Path = Field(
        default=Path(".tasks-server/artifacts"),
        description="Where artifacts lie; servers and workers must share it.",
    )
    artifact_url: str = Field(
        default="",
        description="Object store for artifacts instead of a directory: `s3://bucket/prefix`, `gs://…`, `az://…`.",
    )
    inline_result_bytes: int = Field(
        default=256 * 1024,
        gt=0,
        description="Tool results above this many bytes keep their large parts as artifacts.",
    )
    max_result_bytes: int = Field(
        default=4 * 1024 * 1024,
        gt=0,
        description="Largest result in bytes that goes into the record, and into a message, as it is.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    allow_unauthenticated: bool = Field(
        default=False,
        description="Set to true to listen on more than loopback although nobody is authenticated.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="JSON list of Host names to accept beside the loopback names."
    )
    allowed_origins: tuple[str, ...] = Field(
        default=(), description="JSON list of browser origins to accept beside loopback ones."
    )
    max_request_bytes: int = Field(
        default=16 * 1024 * 1024, gt=0, description="Largest request body in bytes; larger ones get HTTP 413."
    )
    max_concurrent_requests: int = Field(
        default=1000,
        gt=0,
        description="How many requests one server answers at a time; more get HTTP 503. Open streams do not count.",
    )
    attached_wait_seconds: float = Field(
        default=45.0,
        ge=0,
        description="How long a call of a client without tasks waits before its answer is the task's id; 0: no limit.",
    )
    stream_seconds: float | None = Field(
        default=None,
        gt=0,
        description="After how long streams of 2025-11-25 are closed for their clients to come back; empty: never.",
    )
    lease_seconds: float = Field(
        default=15.0, gt=0, description="A worker that is silent for this long has lost its tasks."
    )
    max_run_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Longest that one attempt of any task may run, whatever its tool allows; empty for no limit.",
    )
    max_retention_seconds: float | None = Field(
        default=None,
        ge=0,
        description="Longest that finished tasks are kept, whatever their tools say; empty for no limit.",
    )
    stall_warning_leases: float = Field(
        default=0.2,
        gt=0,
        description="A tool that blocks its worker's event loop for so many leases is named in the log.",
    )
    stall_end_leases: float = Field(
        default=4.0,
        ge=0,
        description="A worker whose event loop is blocked for so many leases ends, to be started again; 0: never.",
    )
    park_after_seconds: float = Field(
        default=2.0,
        ge=0,
        description="How long a question may hold its worker slot before the task is parked.",
    )
    shutdown_grace_seconds: float = Field(
        default=10.0,
        ge=0,
        description="How long a worker that is told to stop lets short work finish before it hands it back.",
    )
    breaker_failures: int = Field(
        default=5,
        ge=0,
        description="Transient failures of a tool, with no result in between, that open its breaker; 0 for none.",
    )
    breaker_cooldown_seconds: float = Field(
        default=30.0,
        gt=0,
        description="How long an open breaker pauses its tool; doubled after each failed probe, up to 10 minutes.",
    )
    tool_absence_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="How long a tool stays callable after its last worker has gone.",
    )
    dispatch_window: int = Field(
        default=200,
        gt=0,
        description="How many waiting tasks of one owner are announced in one queue; the rest waits in the database.",
    )
    max_queued_per_owner: int | None = Field(
        default=None,
        gt=0,
        description="How many tasks of one owner may wait; more are refused with HTTP 429. Empty: no limit.",
    )
    max_running_per_owner: int | None = Field(
        default=None,
        gt=0,
        description="How many tasks of one owner run at a time; more wait their turn. Empty: no limit.",
    )
    file_roots: tuple[Path, ...] = Field(
        default=(), description="JSON list of directories the built-in tools may read files from."
    )
    fetch_https: bool = Field(
        default=False, description="Set to true to let the built-in tools fetch https URLs of public hosts."
    )
    max_source_bytes: int = Field(
        default=200 * 1024 * 1024, gt=0, description="Largest document or dataset a built-in tool accepts."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="`text` for people, `json` for one JSON object per line."
    )

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The environment, unless `given` says otherwise. Raises ConfigurationError, a line a problem."""
        try:
            return cls(**given)
        except SettingsError as error:  # a value that should be JSON is not
            raise ConfigurationError(_unreadable(error)) from None
        except ValidationError as error:
            raise ConfigurationError("\n".join(_complaints(error))) from None


def _complaints(error: ValidationError) -> list[str]:
    complaints: list[str] = []
    for problem in error.errors(include_url=False):
        name = f"TASKS_{problem['loc'][0]}".upper()
        complaints.append(f"{name}: {problem['msg']} (it is {problem['input']!r})")
    return complaints


def _unreadable(error: SettingsError) -> str:
    for name, field in Settings.model_fields.items():
        if f'"{name}"' in str(error):
            return f'TASKS_{name.upper()} is not valid JSON. {field.description} Example: ["one", "two"].'
    return str(error)
