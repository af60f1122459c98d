"""`subscriptions/listen`: a stream of the changes a client asked to hear about, and of nothing else.

Everything is subscribed to before the acknowledgment is sent, so that nothing falls between the two. Every
message carries the id of the request that opened the stream (basic/patterns/subscriptions).
"""

from __future__ import annotations

from asyncio import Queue
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import anyio

from tasks_server.bus import Subscription
from tasks_server.catalog import OfferKind
from tasks_server.protocol.caller import SUBSCRIPTION_ID_KEY
from tasks_server.protocol.dialect import Call, Outlet, Stream
from tasks_server.protocol.jsonrpc import InvalidParams, RequestId, Result
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.v2026_07_28.projection import detailed_task, progress_meta
from tasks_server.protocol.v2026_07_28.results import complete
from tasks_server.signals import ResourceUpdated, Resync
from tasks_server.task import Task
from tasks_server.watch import Watch

MAX_SUBJECTS = 1_000
"""The most task ids, and the most resource URIs, of one stream."""

_LISTS: dict[str, OfferKind] = {
    "toolsListChanged": "tools",
    "promptsListChanged": "prompts",
    "resourcesListChanged": "resources",
}

Forwarder = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Filter:
    """What a client wants to hear about; None where it did not say."""

    lists: frozenset[OfferKind]
    resources: tuple[str, ...] | None
    task_ids: tuple[str, ...] | None


async def listen(call: Call) -> Stream:
    wanted = _read_filter(call)
    if wanted.task_ids is not None:
        call.caller.require_tasks("A subscription to taskIds")
    # Not with the whole call, whose headers and parameters nobody needs for as long as the stream is open.
    parts, owner, request_id = call.parts, call.caller.owner, call.request.id
    return Stream(lambda outlet: _Listening(parts, owner, request_id, wanted, outlet).run())


@dataclass(slots=True)
class _Listening:
    """One open stream."""

    parts: Parts
    owner: str
    request_id: RequestId
    wanted: Filter
    outlet: Outlet

    async def run(self) -> Result:
        async with AsyncExitStack() as stack:
            forwarders = await self._subscribe(stack)
            with anyio.CancelScope() as listening, self.outlet.stopping(listening.cancel):
                if len(forwarders) == 1:  # as nearly always: thousands of streams need no second task each
                    await forwarders[0]()
                else:
                    async with anyio.create_task_group() as group:
                        for forward in forwarders:
                            group.start_soon(forward)
                await anyio.sleep_forever()  # a stream whose tasks have all ended stays open
        result = complete()
        result["_meta"] = {**result["_meta"], SUBSCRIPTION_ID_KEY: self.request_id}
        return result

    async def _subscribe(self, stack: AsyncExitStack) -> list[Forwarder]:
        """Subscribe, then acknowledge what will be heard: ids the caller has no task for are left out."""
        forwarders: list[Forwarder] = []
        honoured: dict[str, Any] = {
            field: True for field, kind in _LISTS.items() if kind in self.wanted.lists
        }
        if honoured:
            changes = await stack.enter_async_context(self.parts.catalog.changes())
            forwarders.append(partial(self._forward_lists, changes))
        if self.wanted.resources is not None:
            signals = await stack.enter_async_context(self.parts.bus.subscribe(ResourceUpdated))
            forwarders.append(partial(self._forward_resources, signals, self.wanted.resources))
            honoured["resourceSubscriptions"] = list(self.wanted.resources)
        if self.wanted.task_ids is not None:
            watch = await stack.enter_async_context(
                self.parts.service.watch(self.owner, self.wanted.task_ids)
            )
            forwarders.append(partial(self._forward_tasks, watch))
            honoured["taskIds"] = list(watch.accepted)
        await self._notify("notifications/subscriptions/acknowledged", {"notifications": honoured})
        return forwarders

    async def _forward_lists(self, changes: Queue[frozenset[OfferKind]]) -> None:
        while True:
            for kind in sorted(self.wanted.lists & await changes.get()):
                await self._notify(f"notifications/{kind}/list_changed", {})

    async def _forward_resources(self, signals: Subscription, uris: tuple[str, ...]) -> None:
        async for signal in signals:
            match signal:
                case ResourceUpdated(uri) if uri in uris:
                    await self._notify("notifications/resources/updated", {"uri": uri})
                case Resync():
                    for uri in uris:
                        await self._notify("notifications/resources/updated", {"uri": uri})
                case _:
                    pass

    async def _forward_tasks(self, watch: Watch) -> None:
        async for event in watch:
            if isinstance(event, Task):
                shown = {
                    **detailed_task(self.parts.waiting.explained(event)),
                    "_meta": progress_meta(event),
                }
                await self._notify("notifications/tasks", shown)

    async def _notify(self, method: str, params: dict[str, Any]) -> None:
        meta = {SUBSCRIPTION_ID_KEY: self.request_id, **params.get("_meta", {})}
        await self.outlet.notify(method, {**params, "_meta": meta})


def _read_filter(call: Call) -> Filter:
    value = call.params.get("notifications")
    if not isinstance(value, dict):
        raise InvalidParams("params.notifications must be an object that says what to hear about.")
    notifications = cast("dict[str, Any]", value)
    for field in _LISTS:
        if not isinstance(notifications.get(field, False), bool):
            raise InvalidParams(f"params.notifications.{field} must be true or false.")
    return Filter(
        lists=frozenset(kind for field, kind in _LISTS.items() if notifications.get(field)),
        resources=_read_subjects(notifications, "resourceSubscriptions"),
        task_ids=_read_subjects(notifications, "taskIds"),
    )


def _read_subjects(notifications: dict[str, Any], field: str) -> tuple[str, ...] | None:
    if field not in notifications:
        return None
    value = notifications[field]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in cast("list[Any]", value)):
        raise InvalidParams(f"params.notifications.{field} must be a list of strings.")
    subjects = tuple(dict.fromkeys(cast("list[str]", value)))
    if len(subjects) > MAX_SUBJECTS:
        raise InvalidParams(
            f"params.notifications.{field} may name at most {MAX_SUBJECTS}; open another stream."
        )
    return subjects
