"""Which Redis keys may live without an expiry: what is bounded by itself, and nothing else."""

from __future__ import annotations

import fnmatch
from typing import Any

import redis

MAY_LIVE_ON = (
    "tasks:bus",  # the stream of signals, which is cut to a length
    "tasks:marker",  # one small value
    "tasks:queue:*",  # sorted sets of waiting jobs: empty again when the work is done
)


def connect(url: str) -> Any:
    """A synchronous client; it is untyped because redis-py is only half typed."""
    return redis.Redis.from_url(url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]


def keys_without_expiry(url: str) -> list[str]:
    """The keys that would stay in Redis for ever, sorted."""
    client = connect(url)
    try:
        keys: list[str] = list(client.scan_iter(count=1000))
        return sorted(key for key in keys if not _may_live_on(key) and client.pttl(key) == -1)
    finally:
        client.close()


def flush(url: str) -> None:
    client = connect(url)
    try:
        client.flushall()
    finally:
        client.close()


def _may_live_on(key: str) -> bool:
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in MAY_LIVE_ON)
