"""What this worker offers: collected from modules, published as a manifest, looked up when work arrives."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar

from tasks_server.errors import INVALID_PARAMS
from tasks_server.manifest import Manifest, ResourceOffer, ResourceTemplateOffer
from workers.definition import ATTRIBUTE, Definition, PromptDefinition, ResourceDefinition, ToolDefinition
from workers.errors import DeclarationError, NotOffered, ResourceNotFound

BUILT_IN = "workers.tools"
BUILT_IN_QUEUE = "default"


Kind = TypeVar("Kind", ToolDefinition, PromptDefinition, ResourceDefinition)


@dataclass(frozen=True, slots=True)
class Offered(Generic[Kind]):
    """A definition and the queue its work comes through."""

    definition: Kind
    queue: str


class Registry:
    """Definitions in the order they were added; tools, prompts and resources have separate names.

    default_queue: for every definition that does not name its own queue; without it each gets the name of the
    module it was loaded with ("default" for the built-in tools).
    """

    def __init__(self, default_queue: str | None = None) -> None:
        self._default_queue = default_queue
        self._modules: list[str] = []
        self._tools: dict[str, Offered[ToolDefinition]] = {}
        self._prompts: dict[str, Offered[PromptDefinition]] = {}
        self._resources: dict[str, Offered[ResourceDefinition]] = {}

    @classmethod
    def load(cls, module_names: Iterable[str], default_queue: str | None = None) -> Registry:
        """Import modules and take what they offer.

        A module offers the decorated functions it holds under any name that were written in it or, for a
        package, below it; and those that its `__all__` names, wherever they were written.

        Raises DeclarationError for two functions of one name; whatever the import raises.
        """
        registry = cls(default_queue)
        for name in module_names:
            registry.take(name)
        return registry

    def take(self, module_name: str) -> int:
        """Import one module and take what it offers; how many functions these are. See `load`."""
        module = importlib.import_module(module_name)
        self._modules.append(module_name)
        functions = list(offered_functions(module))
        for function in functions:
            self.add(function)
        return len(functions)

    def add(self, function: Callable[..., Any]) -> None:
        """Offer a decorated function. Offering the very same one again changes nothing."""
        definition = _definition_of(function)
        queue = definition.queue or self._queue_for(function.__module__)
        match definition:
            case ToolDefinition():
                _put(self._tools, definition.name, Offered(definition, queue))
            case PromptDefinition():
                _put(self._prompts, definition.name, Offered(definition, queue))
            case ResourceDefinition():
                _put(self._resources, definition.uri, Offered(definition, queue))

    def remove(self, function: Callable[..., Any]) -> None:
        """Stop offering a decorated function; nothing happens if it was not offered."""
        definition = _definition_of(function)
        match definition:
            case ToolDefinition():
                self._tools.pop(definition.name, None)
            case PromptDefinition():
                self._prompts.pop(definition.name, None)
            case ResourceDefinition():
                self._resources.pop(definition.uri, None)

    def manifest(self) -> Manifest:
        resources = [offered.definition.offer(offered.queue) for offered in self._resources.values()]
        return Manifest(
            tools=tuple(offered.definition.offer(offered.queue) for offered in self._tools.values()),
            prompts=tuple(offered.definition.offer(offered.queue) for offered in self._prompts.values()),
            resources=tuple(offer for offer in resources if isinstance(offer, ResourceOffer)),
            resource_templates=tuple(
                offer for offer in resources if isinstance(offer, ResourceTemplateOffer)
            ),
        )

    def tool(self, name: str) -> ToolDefinition:
        """Raises NotOffered."""
        if name not in self._tools:
            raise NotOffered(INVALID_PARAMS, f"Unknown tool: {name}")
        return self._tools[name].definition

    def prompt(self, name: str) -> PromptDefinition:
        """Raises NotOffered."""
        if name not in self._prompts:
            raise NotOffered(INVALID_PARAMS, f"Unknown prompt: {name}")
        return self._prompts[name].definition

    def resource(self, uri: str) -> tuple[ResourceDefinition, dict[str, str]]:
        """The resource under `uri`, and the template's variables. A fixed URI goes before templates.

        Raises ResourceNotFound.
        """
        if uri in self._resources:
            return self._resources[uri].definition, {}
        for offered in self._resources.values():
            variables = offered.definition.match(uri)
            if variables is not None:
                return offered.definition, variables
        raise ResourceNotFound(uri)

    def resource_template(self, uri_template: str) -> ResourceDefinition:
        """Raises ResourceNotFound."""
        if uri_template not in self._resources:
            raise ResourceNotFound(uri_template)
        return self._resources[uri_template].definition

    def _queue_for(self, module: str) -> str:
        if self._default_queue is not None:
            return self._default_queue
        homes = [name for name in self._modules if module == name or module.startswith(f"{name}.")]
        home = max(homes, key=len) if homes else (self._modules[-1] if self._modules else module)
        return BUILT_IN_QUEUE if home == BUILT_IN or home.startswith(f"{BUILT_IN}.") else home


def offered_functions(module: ModuleType) -> Iterator[Callable[..., Any]]:
    """See `Registry.load` for the rule."""
    exported: Iterable[str] = getattr(module, "__all__", ())
    for name, value in vars(module).items():
        if not hasattr(value, ATTRIBUTE) or not callable(value):
            continue
        origin: str = value.__module__
        if name in exported or origin == module.__name__ or origin.startswith(f"{module.__name__}."):
            yield value


def _put(offered: dict[str, Offered[Kind]], name: str, new: Offered[Kind]) -> None:
    existing = offered.get(name)
    if existing is not None and existing.definition is not new.definition:
        raise DeclarationError(
            f"{new.definition.signature.where}: {name!r} is already offered by "
            f"{existing.definition.signature.where}; give one of them another name"
        )
    offered[name] = new


def _definition_of(function: Callable[..., Any]) -> Definition:
    definition = getattr(function, ATTRIBUTE, None)
    if definition is None:
        raise DeclarationError(f"{function!r} is not decorated with @tool, @prompt or @resource")
    return definition
