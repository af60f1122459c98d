"""What the protocol talks to. Built once by the composition root, shared by all requests."""

from __future__ import annotations

from dataclasses import dataclass

from tasks_server.artifacts import ArtifactStore
from tasks_server.bus import Bus
from tasks_server.catalog import Catalog
from tasks_server.put_questions import PutQuestions
from tasks_server.seal import Seal
from tasks_server.service import TaskService
from tasks_server.session_mail import SessionMail
from tasks_server.session_news import SessionNews
from tasks_server.sessions import Sessions
from tasks_server.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a handler may use.

    max_retention_ms: the longest that the operator lets finished tasks be kept.
    attached_wait_seconds: how long a call of a client without tasks waits; None for as long as it takes.
    tells_callers_apart: false where strangers may act on behalf of one owner.
    """

    service: TaskService
    sessions: Sessions
    session_news: SessionNews
    session_mail: SessionMail
    put_questions: PutQuestions
    catalog: Catalog
    waiting: Waiting
    bus: Bus
    seal: Seal
    artifacts: ArtifactStore
    max_retention_ms: int | None = None
    attached_wait_seconds: float | None = None
    tells_callers_apart: bool = True
