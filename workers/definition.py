"""What the decorators make of a function: everything that is published about it, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from tasks_server import uri_template
from tasks_server.manifest import (
    ArgumentOffer,
    PromptOffer,
    QuestionOffer,
    ResourceOffer,
    ResourceTemplateOffer,
    TaskSupport,
    ToolOffer,
)
from workers.schemas import JsonSchema
from workers.signature import Signature

RunsIn = Literal["event_loop", "thread", "process"]
Complete = Callable[[str, dict[str, str]], Any]

ATTRIBUTE = "__offered_as__"
"""Where a decorated function carries its definition."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """The part that all three kinds share.

    memory_bytes limits a process. queue is the author's own choice, if any.
    """

    function: Callable[..., Any]
    signature: Signature
    name: str
    title: str | None
    description: str
    runs_in: RunsIn
    run_timeout_ms: int | None
    queue: str | None


@dataclass(frozen=True, slots=True)
class ToolDefinition(Runnable):
    """A tool. `returns` describes the structured result; None when the result is content blocks only."""

    input_schema: JsonSchema
    output_schema: JsonSchema | None
    returns: TypeAdapter[Any] | None
    annotations: dict[str, Any] | None
    task_support: TaskSupport
    retention_ms: int | None
    poll_interval_ms: int
    max_retries: int
    priority: int
    retry_delay_ms: int
    retry_on: tuple[type[Exception], ...]
    max_crashes: int
    memory_bytes: int | None
    start_within_ms: int | None
    deadline_ms: int | None

    def offer(self, queue: str) -> ToolOffer:
        return ToolOffer(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.input_schema,
            output_schema=self.output_schema,
            annotations=self.annotations,
            task_support=self.task_support,
            queue=queue,
            run_timeout_ms=self.run_timeout_ms,
            retention_ms=self.retention_ms,
            poll_interval_ms=self.poll_interval_ms,
            max_retries=self.max_retries,
            priority=self.priority,
            max_crashes=self.max_crashes,
            start_within_ms=self.start_within_ms,
            deadline_ms=self.deadline_ms,
            questions=tuple(
                QuestionOffer(
                    key=question.key,
                    message=question.message,
                    requested_schema=question.form.schema,
                    optional=question.optional,
                )
                for question in self.signature.questions
            ),
        )


@dataclass(frozen=True, slots=True)
class PromptDefinition(Runnable):
    """A prompt. completions: by argument name."""

    completions: Mapping[str, Complete] = field(default_factory=dict[str, Complete])

    def offer(self, queue: str) -> PromptOffer:
        return PromptOffer(
            name=self.name,
            title=self.title,
            description=self.description,
            arguments=_argument_offers(self.signature, self.completions),
            queue=queue,
            run_timeout_ms=self.run_timeout_ms,
        )


@dataclass(frozen=True, slots=True)
class ResourceDefinition(Runnable):
    """A resource, or with variables in its URI a template for many. completions: by variable name."""

    uri: str
    variables: Sequence[str]
    mime_type: str | None
    completions: Mapping[str, Complete] = field(default_factory=dict[str, Complete])

    def match(self, uri: str) -> dict[str, str] | None:
        """The values of the variables with which the template gives `uri`."""
        return uri_template.match(self.uri, uri)

    def offer(self, queue: str) -> ResourceOffer | ResourceTemplateOffer:
        if not self.variables:
            return ResourceOffer(
                uri=self.uri,
                name=self.name,
                title=self.title,
                description=self.description or None,
                mime_type=self.mime_type,
                queue=queue,
                run_timeout_ms=self.run_timeout_ms,
            )
        return ResourceTemplateOffer(
            uri_template=self.uri,
            name=self.name,
            title=self.title,
            description=self.description or None,
            mime_type=self.mime_type,
            arguments=_argument_offers(self.signature, self.completions),
            queue=queue,
            run_timeout_ms=self.run_timeout_ms,
        )


Definition = ToolDefinition | PromptDefinition | ResourceDefinition


def _argument_offers(signature: Signature, completions: Mapping[str, Complete]) -> tuple[ArgumentOffer, ...]:
    if signature.arguments is None:
        return ()
    offers: list[ArgumentOffer] = []
    for name in signature.arguments.names:
        declared = signature.arguments.described(name)
        offers.append(
            ArgumentOffer(
                name=name,
                title=declared.title,
                description=declared.description,
                required=declared.is_required(),
                completes=name in completions,
            )
        )
    return tuple(offers)
