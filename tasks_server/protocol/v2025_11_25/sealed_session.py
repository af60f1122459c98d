"""A session sealed into the id that its client sends along ever after: any replica opens it, none remembers it."""

from __future__ import annotations

from tasks_server.protocol.v2025_11_25.revisions import REVISIONS
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.seal import Seal, SealBroken
from tasks_server.sessions import SESSION_SECONDS

_PURPOSE = "session"


def seal_session(seal: Seal, session: Session) -> str:
    content = {
        "id": session.id,
        "owner": session.owner,
        "revision": session.revision.version,
        "capabilities": session.capabilities,
    }
    return seal.close(_PURPOSE, content)


def open_session(seal: Seal, token: str, owner: str) -> Session | None:
    """The session as it began; None for a token that is not one, has expired, or is somebody else's."""
    try:
        content = seal.open(_PURPOSE, token, SESSION_SECONDS)
    except SealBroken:
        return None
    revision = REVISIONS.get(content["revision"])
    if revision is None or content["owner"] != owner:
        return None
    return Session(content["id"], owner, revision, content["capabilities"])
