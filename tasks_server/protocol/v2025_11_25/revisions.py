"""The revisions that begin with a handshake. The older ones are 2025-11-25 with fewer features."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Revision:
    """What a revision has. The names are those of its changelog, or of the fields that it brought."""

    version: str
    tasks: bool
    url_elicitation: bool
    primed_streams: bool
    """Streams begin with an event that has no data, so that their clients can come back to them (SEP-1699)."""
    elicitation: bool
    structured_content: bool
    titles: bool
    resource_links: bool
    batches: bool
    completions: bool
    annotations: bool
    audio: bool
    progress_messages: bool


_2025_11_25 = Revision(
    "2025-11-25",
    tasks=True,
    url_elicitation=True,
    primed_streams=True,
    elicitation=True,
    structured_content=True,
    titles=True,
    resource_links=True,
    batches=False,
    completions=True,
    annotations=True,
    audio=True,
    progress_messages=True,
)
_2025_06_18 = replace(
    _2025_11_25, version="2025-06-18", tasks=False, url_elicitation=False, primed_streams=False
)
_2025_03_26 = replace(
    _2025_06_18,
    version="2025-03-26",
    elicitation=False,
    structured_content=False,
    titles=False,
    resource_links=False,
    batches=True,
)
_2024_11_05 = replace(
    _2025_03_26,
    version="2024-11-05",
    completions=False,
    annotations=False,
    audio=False,
    progress_messages=False,
)

REVISIONS = {each.version: each for each in (_2025_11_25, _2025_06_18, _2025_03_26, _2024_11_05)}
LATEST = _2025_11_25


def negotiated(requested: str) -> Revision:
    """The revision of a session whose client asks for `requested` (basic/lifecycle, "Version Negotiation")."""
    return REVISIONS.get(requested, LATEST)
