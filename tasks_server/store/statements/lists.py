"""Which tasks there are: an owner's in pages, those of a session, and what happened to one of them since."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    CompoundSelect,
    Text,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union_all,
)

from tasks_server.store.statements.terms import NOT_EXPIRED, Selection, t
from tasks_server.store.tables import TASK, TASK_EVENT
from tasks_server.task import Door, OutcomeKind

e = TASK_EVENT.c

# Written out: the partial index is used for these very words only.
IS_HANDED_OUT: ColumnElement[bool] = t.door == literal_column(f"'{Door.HANDLE}'", Text)
TOLD = ("log", "question")

MOST_SAID = 4_000
"""How long the first part of an error may be to come along in a list."""


def page_of_tasks(owner: str, after: tuple[int, str] | None, limit: int, *, is_sqlite: bool) -> Selection:
    """Tasks that were handed out, newest first, without what they carry: a page must not weigh hundreds of results."""
    carried = {t.arguments.name, t.outcome.name}
    page = select(
        *(column for column in TASK.columns if column.name not in carried),
        literal("{}", Text).label(t.arguments.name),
        _outcome_in_brief(is_sqlite=is_sqlite).label(t.outcome.name),
    ).where(t.owner == owner, IS_HANDED_OUT, NOT_EXPIRED)
    if after is not None:
        page = page.where(tuple_(t.created_at, t.id) < tuple_(*after))
    return page.order_by(t.created_at.desc(), t.id.desc()).limit(limit)


def _outcome_in_brief(*, is_sqlite: bool) -> ColumnElement[Any]:
    """Of a result only whether it is an error, and how it begins; the JSON is looked into where it lies."""
    if is_sqlite:
        is_error: ColumnElement[bool] = func.json_extract(t.outcome, "$.isError") == 1
        first: ColumnElement[str] = func.json_extract(t.outcome, "$.content[0]")
    else:
        # PostgreSQL refuses to look into JSON that has an escaped NUL anywhere.
        outcome = cast(func.replace(t.outcome, r"\u0000", r"\u0001"), JSON)
        is_error = cast(outcome.op("->")("isError"), Text) == "true"
        first = cast(outcome.op("->")("content").op("->")(literal_column("0")), Text)
    said = literal('{"isError":true,"content":[', Text) + first + literal("]}", Text)
    brief = case(
        (is_error & (func.length(first) <= MOST_SAID), said), (is_error, '{"isError":true}'), else_="{}"
    )
    return case((t.outcome_kind == OutcomeKind.RESULT, brief), else_=t.outcome)


def unfinished_of_session(owner: str, session: str, limit: int) -> Selection:
    """Ids of handed-out tasks, newest first."""
    return (
        select(t.id)
        .where(t.session == session, t.finished_at.is_(None), t.owner == owner, IS_HANDED_OUT)
        .order_by(t.created_at.desc(), t.id)
        .limit(limit)
    )


def changed_of_session(owner: str, session: str, since: int, limit: int) -> CompoundSelect[Any, Any]:
    """Ids of handed-out tasks that have changed since then. (A finished task changes no more.)"""
    of_session = (t.session == session, t.owner == owner, IS_HANDED_OUT)
    unfinished = select(t.id, t.updated_at).where(*of_session, t.finished_at.is_(None), t.updated_at >= since)
    finished = select(t.id, t.updated_at).where(*of_session, t.finished_at >= since)
    either = union_all(unfinished, finished)
    return either.order_by(either.selected_columns.updated_at.desc()).limit(limit)


def task_of_request(owner: str, session: str, request_key: str) -> Selection:
    """The id of the newest task that this request of a session has made."""
    return (
        select(t.id)
        .where(t.session == session, t.session_request == request_key, t.owner == owner)
        .order_by(t.created_at.desc())
        .limit(1)
    )


def newest_event(owner: str, task_id: str) -> Selection:
    is_own = exists().where(t.id == task_id, t.owner == owner)
    return select(func.max(e.id)).where(e.task_id == task_id, is_own)


def events_after(owner: str, task_id: str, after: int, limit: int) -> Selection:
    """What a client is told of a task beside its status, in the order of the commits."""
    is_own = exists().where(t.id == task_id, t.owner == owner)
    return (
        select(e.id, e.kind, e.body)
        .where(e.task_id == task_id, e.id > after, e.kind.in_(TOLD), is_own)
        .order_by(e.id)
        .limit(limit)
    )
