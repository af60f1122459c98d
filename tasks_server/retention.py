"""How long a finished task is kept, when several have a say in it."""

from __future__ import annotations


def bounded_retention_ms(
    offered_ms: int | None, most_ms: int | None, wished_ms: int | None = None
) -> int | None:
    """The shortest of what the tool offers, the operator allows and the client wishes; None is no limit."""
    return min((limit for limit in (offered_ms, most_ms, wished_ms) if limit is not None), default=None)
