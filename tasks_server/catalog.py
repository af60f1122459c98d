"""What can be called: the union of what workers have published, kept current by signals and a slow re-read."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import jsonschema_rs

from tasks_server.bus import Bus
from tasks_server.manifest import Manifest, PromptOffer, ResourceOffer, ResourceTemplateOffer, ToolOffer
from tasks_server.misfits import misfits
from tasks_server.signals import CatalogChanged
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage
from tasks_server.store.roster import Presence, Roster
from tasks_server.uri_template import matches
from tasks_server.workforce import Workforce

log = logging.getLogger(__name__)

REREAD_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.2
MAX_REASONS = 5

OfferKind = Literal["tools", "prompts", "resources"]


class Offers:
    """One state of the catalog. Never changes; the next state is another value."""

    def __init__(self, manifests: Iterable[Manifest], live_queues: Iterable[str]) -> None:
        tools: dict[str, ToolOffer] = {}
        prompts: dict[str, PromptOffer] = {}
        resources: dict[str, ResourceOffer] = {}
        templates: dict[str, ResourceTemplateOffer] = {}
        for manifest in manifests:
            tools |= {offer.name: offer for offer in manifest.tools}
            prompts |= {offer.name: offer for offer in manifest.prompts}
            resources |= {offer.uri: offer for offer in manifest.resources}
            templates |= {offer.uri_template: offer for offer in manifest.resource_templates}
        self._tools = tools
        self._prompts = prompts
        self._resources = resources
        self.tools = tuple(tools[name] for name in sorted(tools))
        self.prompts = tuple(prompts[name] for name in sorted(prompts))
        self.resources = tuple(resources[uri] for uri in sorted(resources))
        self.resource_templates = tuple(templates[template] for template in sorted(templates))
        self._live_queues = frozenset(live_queues)
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def tool(self, name: str) -> ToolOffer | None:
        return self._tools.get(name)

    def prompt(self, name: str) -> PromptOffer | None:
        return self._prompts.get(name)

    def resource(self, uri: str) -> ResourceOffer | ResourceTemplateOffer | None:
        """Who reads this URI: a resource of exactly this URI, else the first template that matches it."""
        exact = self._resources.get(uri)
        if exact is not None:
            return exact
        return next((offer for offer in self.resource_templates if matches(offer.uri_template, uri)), None)

    def is_served(self, queue: str) -> bool:
        """Whether a live worker listens to this queue."""
        return queue in self._live_queues

    def serves_tool(self, name: str) -> bool:
        """Whether there is a tool of this name, and a live worker for it."""
        tool = self.tool(name)
        return tool is not None and self.is_served(tool.queue)

    def serves_prompt(self, name: str) -> bool:
        """Whether there is a prompt of this name, and a live worker for it."""
        prompt = self.prompt(name)
        return prompt is not None and self.is_served(prompt.queue)

    def serves_resource(self, uri: str) -> bool:
        """Whether there is somebody to read this URI, and a live worker for it."""
        offer = self.resource(uri)
        return offer is not None and self.is_served(offer.queue)

    def check_arguments(self, tool_name: str, arguments: Mapping[str, Any]) -> list[str]:
        """What is wrong with the arguments, in sentences that name the field; nothing if they are valid."""
        return misfits(self._validator(tool_name), arguments, at_most=MAX_REASONS)

    def _validator(self, tool_name: str) -> jsonschema_rs.Validator:
        """Compiled when first needed, so that a schema which cannot be used breaks only its own tool."""
        if tool_name not in self._validators:
            self._validators[tool_name] = _compile(self._tools[tool_name].input_schema)
        return self._validators[tool_name]

    def differs_from(self, other: Offers) -> frozenset[OfferKind]:
        """Which lists a client would see changed."""
        changed: set[OfferKind] = set()
        if self.tools != other.tools:
            changed.add("tools")
        if self.prompts != other.prompts:
            changed.add("prompts")
        if (self.resources, self.resource_templates) != (other.resources, other.resource_templates):
            changed.add("resources")
        return frozenset(changed)


def _compile(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    # Without a retriever nothing is ever fetched: a schema cannot make this server call somewhere.
    return jsonschema_rs.validator_for(schema, offline=True)


class Catalog:
    """The current offers in this process. `run` keeps them current until cancelled."""

    def __init__(self, roster: Roster, bus: Bus, *, live_within_ms: int, absence_ms: int) -> None:
        self._roster = roster
        self._bus = bus
        self._live_within_ms = live_within_ms
        self._absence_ms = absence_ms
        self._offers = Offers((), ())
        # Compiled validators live in the offers, so an unchanged catalog keeps the same ones.
        self._read_from: tuple[tuple[str, ...], frozenset[str]] | None = None
        self._offers_read = self._offers
        self._looked_at = -math.inf
        self._workforce = Workforce()
        self._followers: set[asyncio.Queue[frozenset[OfferKind]]] = set()

    def current(self) -> Offers:
        return self._offers

    def workforce(self) -> Workforce:
        """The live workers, as of the last reading."""
        return self._workforce

    async def including(self, wanted: Callable[[Offers], object]) -> Offers:
        """The current offers, read anew if they lack what is wanted: its worker may be faster than its signal.

        What nobody offers is looked for at most a few times a second, however often it is asked for.
        """
        if not wanted(self._offers) and time.monotonic() - self._looked_at > LOOK_AGAIN_SECONDS:
            self._looked_at = time.monotonic()
            self._replace(await self._read())
        return self._offers

    async def load(self) -> None:
        """Read the catalog once; the process serves nothing before that."""
        self._replace(await self._read())

    async def run(self) -> None:
        async with self._bus.subscribe(CatalogChanged) as signals:
            while True:
                with anyio.move_on_after(REREAD_SECONDS):
                    await anext(signals)
                try:
                    self._replace(await self._read())
                except DATABASE_UNAVAILABLE as error:
                    if not is_outage(error):
                        raise
                    log.warning("The catalog cannot be read, the last one stays: %s", error)

    @asynccontextmanager
    async def changes(self) -> AsyncGenerator[asyncio.Queue[frozenset[OfferKind]]]:
        """What has changed, from now on: which of the lists a client would see differently."""
        queue: asyncio.Queue[frozenset[OfferKind]] = asyncio.Queue()
        self._followers.add(queue)
        try:
            yield queue
        finally:
            self._followers.discard(queue)

    def _replace(self, offers: Offers) -> None:
        changed = offers.differs_from(self._offers)
        self._offers = offers
        if changed:
            for follower in self._followers:
                follower.put_nowait(changed)

    async def _read(self) -> Offers:
        present = await self._roster.present(max(self._absence_ms, self._live_within_ms))
        manifests = await self._roster.manifests([worker.manifest_digest for worker in present])
        # Where two workers offer the same name, a living one wins over a gone one, and a newer over an older.
        ordered = sorted(present, key=self._is_live)
        digests = tuple(worker.manifest_digest for worker in ordered if worker.manifest_digest in manifests)
        living = filter(self._is_live, present)
        self._workforce = Workforce.of(living, manifests, self._live_within_ms)
        live = self._workforce.served
        if self._read_from != (digests, live):
            self._offers_read = Offers([manifests[digest] for digest in digests], live)
            self._read_from = (digests, live)
        return self._offers_read

    def _is_live(self, worker: Presence) -> bool:
        return not worker.stopped and worker.silent_ms < self._live_within_ms
