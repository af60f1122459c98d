"""What is offered, as the lists show it. Revisions that know less leave out what they do not know."""

from __future__ import annotations

from typing import Any

from tasks_server.artifacts import SCHEME
from tasks_server.manifest import ArgumentOffer, PromptOffer, ResourceOffer, ResourceTemplateOffer, ToolOffer

ARTIFACT_TEMPLATE: dict[str, Any] = {
    "uriTemplate": f"{SCHEME}://{{taskId}}/{{name}}",
    "name": "artifact",
    "title": "Artifact of a task",
    "description": "A file that a task has produced. Results link to their artifacts by URI.",
}


def show_tool(tool: ToolOffer) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": tool.name}
    if tool.title is not None:
        shown["title"] = tool.title
    shown["description"] = tool.description
    shown["inputSchema"] = tool.input_schema
    if tool.output_schema is not None:
        shown["outputSchema"] = tool.output_schema
    if tool.annotations is not None:
        shown["annotations"] = tool.annotations
    return shown


def show_prompt(prompt: PromptOffer) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": prompt.name}
    if prompt.title is not None:
        shown["title"] = prompt.title
    shown["description"] = prompt.description
    if prompt.arguments:
        shown["arguments"] = [_show_argument(argument) for argument in prompt.arguments]
    return shown


def show_resource(offer: ResourceOffer | ResourceTemplateOffer) -> dict[str, Any]:
    shown: dict[str, Any] = (
        {"uri": offer.uri} if isinstance(offer, ResourceOffer) else {"uriTemplate": offer.uri_template}
    )
    shown["name"] = offer.name
    if offer.title is not None:
        shown["title"] = offer.title
    if offer.description is not None:
        shown["description"] = offer.description
    if offer.mime_type is not None:
        shown["mimeType"] = offer.mime_type
    return shown


def _show_argument(argument: ArgumentOffer) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": argument.name, "required": argument.required}
    if argument.title is not None:
        shown["title"] = argument.title
    if argument.description is not None:
        shown["description"] = argument.description
    return shown
