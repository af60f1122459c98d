"""What a worker offers: the document it publishes, the server serves, and both validate.

The server never imports tool code, so everything it must know about a tool, prompt or resource (schemas,
texts, policies, queue) is in here. Field names are ours; `protocol/` projects them onto the wire.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TaskSupport = Literal["forbidden", "optional", "required"]

SERVER_TOOLS = frozenset({"task_status", "task_wait", "task_result", "task_cancel", "task_list"})
"""Names of the tools that the server carries out itself; no worker's tool can have one."""

DAY_MS = 24 * 60 * 60 * 1000


class _Published(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class QuestionOffer(_Published):
    """A question that must be answered before the task is created (MRTR on the call itself).

    message may contain `{argument}` placeholders, filled from the call's arguments.
    optional: a declined question does not refuse the call; the tool sees None instead of an answer.
    """

    key: str
    message: str
    requested_schema: dict[str, Any]
    optional: bool = False


class ToolOffer(_Published):
    """A tool as its worker declares it. Durations are milliseconds.

    task_support: `forbidden` tools always answer directly; `optional` ones hand out a task to clients that
    declare the extension; `required` ones refuse clients that do not.
    run_timeout_ms limits one attempt, deadline_ms the whole task from its creation, waiting included;
    start_within_ms is how long it may wait for its first start. retention_ms is how long a finished task is kept.
    max_retries: how often an attempt that failed for a passing reason is started again; max_crashes: how many
    workers a task may take down with it before it is a dead letter. priority orders tasks of one owner.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    title: str | None = None
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None
    task_support: TaskSupport = "optional"
    queue: str
    run_timeout_ms: int | None = None
    retention_ms: int | None = DAY_MS
    poll_interval_ms: int = 1000
    max_retries: int = 4
    max_crashes: int = 3
    start_within_ms: int | None = None
    deadline_ms: int | None = None
    priority: int = 0
    questions: tuple[QuestionOffer, ...] = ()


class ArgumentOffer(_Published):
    """One argument of a prompt, or one variable of a resource template."""

    name: str
    title: str | None = None
    description: str | None = None
    required: bool = False
    completes: bool = False


class PromptOffer(_Published):
    """A prompt template; rendering runs on a worker like any other work."""

    name: str
    title: str | None = None
    description: str
    arguments: tuple[ArgumentOffer, ...] = ()
    queue: str
    run_timeout_ms: int | None = 60_000


class ResourceOffer(_Published):
    """A resource under a fixed URI; reading runs on a worker."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    queue: str
    run_timeout_ms: int | None = 60_000


class ResourceTemplateOffer(_Published):
    """A family of resources under an RFC 6570 level-1 URI template (`scheme://path/{variable}/…`)."""

    uri_template: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    arguments: tuple[ArgumentOffer, ...] = ()
    queue: str
    run_timeout_ms: int | None = 60_000


class Manifest(_Published):
    """Everything one worker offers, in the author's order."""

    tools: tuple[ToolOffer, ...] = ()
    prompts: tuple[PromptOffer, ...] = ()
    resources: tuple[ResourceOffer, ...] = ()
    resource_templates: tuple[ResourceTemplateOffer, ...] = ()

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues a worker with this manifest must listen to, sorted."""
        offers = (*self.tools, *self.prompts, *self.resources, *self.resource_templates)
        return tuple(sorted({offer.queue for offer in offers}))

    def digest(self) -> str:
        """Identifies the content: equal manifests of different workers are stored once."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
