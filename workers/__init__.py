"""Runs the work. What is exported here is for tool authors: decorate a function and a worker offers it."""

from __future__ import annotations

from tasks_server.errors import InvalidAnswer, RpcError
from workers.artifact import Artifact
from workers.choices import Choices
from workers.context import TaskContext
from workers.decorators import prompt, resource, tool
from workers.errors import (
    DeclarationError,
    Declined,
    Permanent,
    ResourceNotFound,
    TaskCancelled,
    ToolError,
    Transient,
    Unanswered,
)
from workers.questions import AskFirst
from workers.result import Reply
from workers.sync_context import SyncTaskContext

__all__ = [
    "Artifact",
    "AskFirst",
    "Choices",
    "DeclarationError",
    "Declined",
    "InvalidAnswer",
    "Permanent",
    "Reply",
    "ResourceNotFound",
    "RpcError",
    "SyncTaskContext",
    "TaskCancelled",
    "TaskContext",
    "ToolError",
    "Transient",
    "Unanswered",
    "prompt",
    "resource",
    "tool",
]
