"""Which failures of a tool are worth another attempt, and when that attempt starts."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from tasks_server.errors import TasksError
from workers.errors import ToolError, Transient
from workers.result import failure_text
from workers.units import milliseconds

LONGEST_PAUSE_MS = 5 * 60 * 1000
# A tool may ask for a longer pause than we would make, but not for one that nobody lives to see.
LONGEST_WISH_MS = 24 * 60 * 60 * 1000


def as_transient(error: BaseException, retry_on: tuple[type[Exception], ...]) -> Transient | None:
    """The failure as a `Transient` with plain parts, ready to travel; None when it is not worth another attempt.

    What was raised as an answer to the caller (ToolError, RpcError) is never tried again, whatever retry_on says.
    A group is worth another attempt if each of its members is.
    """
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        members = [as_transient(member, retry_on) for member in group.exceptions]
        together = [member for member in members if member is not None]
        if len(together) == len(members):
            return _joined(together)
    is_answer = isinstance(error, ToolError | TasksError) and not isinstance(error, Transient)
    if is_answer or not isinstance(error, (Transient, *retry_on)):
        return None
    wish = wish_ms(getattr(error, "retry_after", None))
    return Transient(failure_text(error), None if wish is None else wish / 1000)


def _joined(failures: Sequence[Transient]) -> Transient:
    """What each of them says, once, and the longest pause that one of them asks for."""
    wishes = [wish for failure in failures if (wish := wish_ms(failure.retry_after)) is not None]
    said = dict.fromkeys(str(failure) for failure in failures)
    return Transient(" ".join(said), max(wishes) / 1000 if wishes else None)


def wish_ms(retry_after: Any) -> int | None:
    """How long to wait at least: seconds, "30s", or None. What cannot be read is no wish."""
    if isinstance(retry_after, str):
        try:
            retry_after = float(retry_after)
        except ValueError:
            try:
                return milliseconds(retry_after)
            except ValueError:
                return None
    if isinstance(retry_after, timedelta):
        retry_after = retry_after.total_seconds()
    if isinstance(retry_after, bool) or not isinstance(retry_after, int | float):
        return None
    wish = retry_after * 1000
    return min(int(wish), LONGEST_WISH_MS) if math.isfinite(wish) and wish > 0 else None


def pause_ms(first_ms: int, retries_used: int, wish: int | None) -> int:
    """How long to wait for the next attempt: twice as long each time, half of it by chance, never under the wish.

    Without chance, tasks that failed together would come back together.
    """
    longest = max(first_ms, LONGEST_PAUSE_MS)
    full = min(first_ms * 2 ** min(retries_used, 30), longest)
    return max(random.randint(math.ceil(full / 2), full), wish or 0)  # noqa: S311 - no secret
