"""What the tasks extension says its results and notifications look like (ext-tasks, "Data Types"), field by field.

Stricter than the extension, which lets results carry more: a field that no client knows is a mistake of ours.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from mcp_types import ErrorData, InputRequest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

# RFC 3339, in UTC, to the millisecond.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_EXACT = Field(ge=-(2**53) + 1, le=2**53 - 1)


def _is_time(text: str) -> str:
    assert _TIME.fullmatch(text), text
    return text


Time = Annotated[str, AfterValidator(_is_time)]
Milliseconds = Annotated[int, _EXACT]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TaskShape(Strict):
    taskId: str  # noqa: N815 - fields have their names on the wire
    statusMessage: str = ""  # noqa: N815
    createdAt: Time  # noqa: N815
    lastUpdatedAt: Time  # noqa: N815
    ttlMs: Milliseconds | None  # noqa: N815
    pollIntervalMs: Milliseconds = 0  # noqa: N815
    meta: dict[str, Any] = Field(alias="_meta", default_factory=dict[str, Any])


class Working(TaskShape):
    status: Literal["working"]


class Cancelled(TaskShape):
    status: Literal["cancelled"]


class InputRequired(TaskShape):
    status: Literal["input_required"]
    inputRequests: dict[str, dict[str, Any]]  # noqa: N815


class Completed(TaskShape):
    status: Literal["completed"]
    result: dict[str, Any]


class Failed(TaskShape):
    status: Literal["failed"]
    error: dict[str, Any]


class Created(TaskShape):
    """`CreateTaskResult`."""

    resultType: Literal["task"]  # noqa: N815
    status: Literal["working", "input_required", "completed", "failed", "cancelled"]


class Acknowledged(Strict):
    """`UpdateTaskResult` and `CancelTaskResult`."""

    resultType: Literal["complete"]  # noqa: N815
    meta: dict[str, Any] = Field(alias="_meta", default_factory=dict[str, Any])


DETAILED: dict[str, type[TaskShape]] = {
    "working": Working,
    "input_required": InputRequired,
    "completed": Completed,
    "failed": Failed,
    "cancelled": Cancelled,
}
_QUESTION: TypeAdapter[Any] = TypeAdapter(InputRequest)


def check_created(result: dict[str, Any]) -> None:
    Created.model_validate(result)


def check_acknowledged(result: dict[str, Any]) -> None:
    Acknowledged.model_validate(result)


def check_got(result: dict[str, Any]) -> None:
    """`GetTaskResult`."""
    assert result["resultType"] == "complete"
    check_detailed({name: value for name, value in result.items() if name != "resultType"})


def check_detailed(task: dict[str, Any]) -> None:
    """`DetailedTask`: what each status shows beside the task's own fields."""
    shape = DETAILED[task["status"]].model_validate(task)
    if isinstance(shape, InputRequired):
        for question in shape.inputRequests.values():
            _QUESTION.validate_python(question)
    if isinstance(shape, Failed):
        ErrorData.model_validate(shape.error)
