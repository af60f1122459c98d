"""Tasks in pages, newest first. A page begins after a task, not at a number: what is new does not move it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import cast

from tasks_server.encoding import decode_json, encode_json, is_storable, storable_number
from tasks_server.task import Task


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: at the task with this id, which was created at this time."""

    created_at: int
    id: str

    def as_cursor(self) -> str:
        return base64.urlsafe_b64encode(encode_json(["tasks", self.created_at, self.id])).decode()


@dataclass(frozen=True, slots=True)
class TaskPage:
    """next is the place to go on from; None on the last page.

    The tasks come without what they carry: arguments are "{}", and of a result only `isError` is left.
    """

    tasks: tuple[Task, ...]
    next: Place | None


def read_cursor(cursor: object) -> Place:
    """Raises ValueError for what `Place.as_cursor` cannot have made."""
    content = decode_json(base64.urlsafe_b64decode(cursor)) if isinstance(cursor, str) else None
    match cast("object", content):
        case ["tasks", int(created_at), str(task_id)] if (
            not isinstance(created_at, bool)
            and storable_number(created_at) == created_at
            and is_storable(task_id)
        ):
            return Place(created_at, task_id)
        case _:
            raise ValueError("not a cursor of a list of tasks")
