"""What can be called: the union of what workers have published, as long as they were there lately."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import jsonschema_rs
import pytest

from tasks_server.catalog import Catalog, Offers
from tasks_server.manifest import Manifest, PromptOffer, ResourceOffer, ResourceTemplateOffer, ToolOffer
from tasks_server.signals import CatalogChanged
from tests.store.counting import traffic
from tests.store.record import Record

LIVE_WITHIN_MS = 15_000
ABSENCE_MS = 3_600_000


def tool(name: str, *, queue: str = "default", description: str = "Works.", **schema: Any) -> ToolOffer:
    input_schema = {"type": "object", **schema}
    return ToolOffer(name=name, description=description, input_schema=input_schema, queue=queue)


def offering(*names: str, queue: str = "default", description: str = "Works.") -> Manifest:
    return Manifest(tools=tuple(tool(name, queue=queue, description=description) for name in names))


async def enter(record: Record, worker_id: str, manifest: Manifest) -> None:
    await record.roster.enter(worker_id, host="host", pid=1, concurrency=1, manifest=manifest)


async def silence(record: Record, worker_id: str, by_ms: int) -> None:
    """Let time pass for one worker, as if it had neither renewed nor started since."""
    await record.sql(
        "UPDATE worker SET renewed_at = renewed_at - :by, started_at = started_at - :by WHERE id = :id",
        by=by_ms,
        id=worker_id,
    )


@pytest.fixture
async def catalog(record: Record) -> AsyncGenerator[Catalog]:
    """A catalog that follows the bus, as in a server."""
    await record.start()
    catalog = Catalog(record.roster, record.bus, live_within_ms=LIVE_WITHIN_MS, absence_ms=ABSENCE_MS)
    await catalog.load()
    running = asyncio.create_task(catalog.run())
    yield catalog
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def names(offers: Offers) -> list[str]:
    return [offer.name for offer in offers.tools]


async def test_the_union_of_all_manifests_is_offered_in_order(record: Record, catalog: Catalog):
    await enter(record, "a", offering("zip", "convert"))
    await enter(record, "b", offering("query", "convert", queue="gpu"))
    await catalog.load()
    assert names(catalog.current()) == ["convert", "query", "zip"]
    assert catalog.current().is_served("default")
    assert catalog.current().is_served("gpu")
    assert not catalog.current().is_served("elsewhere")


async def test_equal_manifests_are_stored_once(record: Record, catalog: Catalog):
    for worker in ("a", "b", "c"):
        await enter(record, worker, offering("convert"))
    assert len(await record.sql("SELECT digest FROM manifest")) == 1


async def test_of_two_that_offer_a_name_the_newest_wins(record: Record, catalog: Catalog):
    await enter(record, "old", offering("convert", description="Old."))
    await silence(record, "old", 1_000)
    await enter(record, "new", offering("convert", description="New."))
    await catalog.load()
    offer = catalog.current().tool("convert")
    assert offer is not None
    assert offer.description == "New."


async def test_one_that_lives_wins_over_a_newer_that_is_gone(record: Record, catalog: Catalog):
    await enter(record, "old", offering("convert", description="Old."))
    await silence(record, "old", 1_000)
    await enter(record, "new", offering("convert", "extra", description="New."))
    await record.roster.leave("new")
    await catalog.load()
    offer = catalog.current().tool("convert")
    assert offer is not None
    assert offer.description == "Old."
    assert names(catalog.current()) == ["convert", "extra"]


async def test_a_tool_stays_callable_while_its_worker_is_absent(record: Record, catalog: Catalog):
    await enter(record, "a", offering("convert", queue="gpu"))
    await catalog.load()
    assert catalog.workforce().live
    await silence(record, "a", LIVE_WITHIN_MS + 1)
    await catalog.load()
    assert names(catalog.current()) == ["convert"]
    assert not catalog.current().is_served("gpu")
    assert not catalog.workforce().live
    await silence(record, "a", ABSENCE_MS)
    await catalog.load()
    assert names(catalog.current()) == []


async def test_a_worker_that_stopped_in_order_is_absent_at_once(record: Record, catalog: Catalog):
    await enter(record, "a", offering("convert"))
    await record.roster.leave("a")
    assert await record.roster.renew("a")  # its last renewal may come after its farewell
    await catalog.load()
    assert names(catalog.current()) == ["convert"]
    assert not catalog.current().is_served("default")


async def test_a_worker_that_was_forgotten_must_enter_again(record: Record):
    await enter(record, "a", offering("convert"))
    await enter(record, "b", offering("convert"))
    await silence(record, "a", ABSENCE_MS)
    assert await record.roster.forget(ABSENCE_MS) == 1
    assert not await record.roster.renew("a")
    assert not await record.roster.offer("a", offering("zip"))
    assert await record.roster.renew("b")


async def test_what_a_worker_offers_can_change(record: Record, catalog: Catalog):
    await enter(record, "a", offering("convert"))
    assert await record.roster.offer("a", offering("zip"))
    await catalog.load()
    assert names(catalog.current()) == ["zip"]


async def test_followers_are_told_what_has_changed(record: Record, another: Record, catalog: Catalog):
    async with catalog.changes() as changes:
        await enter(another, "a", offering("convert"))
        await another.bus.publish(CatalogChanged())
        assert await changes.get() == {"tools"}
        assert names(catalog.current()) == ["convert"]
        everything = Manifest(
            tools=offering("convert").tools,
            prompts=(PromptOffer(name="p", description="P.", queue="default"),),
            resources=(ResourceOffer(uri="a://b", name="r", queue="default"),),
        )
        await another.roster.offer("a", everything)
        await another.bus.publish(CatalogChanged())
        assert await changes.get() == {"prompts", "resources"}
        await another.bus.publish(CatalogChanged())
        await another.roster.offer("a", Manifest())
        await another.bus.publish(CatalogChanged())
        assert await changes.get() == {"tools", "prompts", "resources"}
        assert changes.empty()


async def test_an_unchanged_catalog_keeps_its_compiled_schemas(record: Record, catalog: Catalog):
    await enter(record, "a", offering("convert"))
    await catalog.load()
    before = catalog.current()
    await record.roster.renew("a")
    with traffic(record) as seen:
        await catalog.load()
    assert catalog.current() is before
    assert len(seen.statements) == 1


async def test_what_is_wrong_with_arguments_names_the_field(record: Record, catalog: Catalog):
    pages = {"type": "array", "items": {"type": "integer"}}
    schema: dict[str, Any] = {
        "properties": {"source": {"type": "string"}, "pages": pages},
        "required": ["source"],
    }
    await enter(record, "a", Manifest(tools=(tool("convert", **schema),)))
    await catalog.load()
    check = catalog.current().check_arguments
    assert check("convert", {"source": "a.pdf", "pages": [1]}) == []
    assert any("source" in problem for problem in check("convert", {}))
    (problem,) = check("convert", {"source": "a.pdf", "pages": [1, "two"]})
    assert problem.startswith("pages.1: ")


@pytest.mark.parametrize(
    "broken",
    [{"$ref": "https://example.com/schema.json"}, {"properties": {"a": {"type": "nonsense"}}}],
    ids=repr,
)
async def test_a_schema_that_cannot_be_used_breaks_only_its_own_tool(
    record: Record, catalog: Catalog, broken: dict[str, Any]
):
    bad = ToolOffer(
        name="bad", description="Bad.", input_schema={"type": "object", **broken}, queue="default"
    )
    await enter(record, "a", Manifest(tools=(bad, tool("good"))))
    await catalog.load()
    assert catalog.current().check_arguments("good", {}) == []
    with pytest.raises(jsonschema_rs.ValidationError):
        catalog.current().check_arguments("bad", {})


async def test_a_resource_is_found_by_its_uri_or_by_a_template(record: Record, catalog: Catalog):
    template = ResourceTemplateOffer(uri_template="a://{name}", name="t", queue="default")
    exact = ResourceOffer(uri="a://b", name="r", queue="default")
    await enter(record, "a", Manifest(resources=(exact,), resource_templates=(template,)))
    await catalog.load()
    assert catalog.current().resource("a://b") == exact
    assert catalog.current().resource("a://c") == template
    assert catalog.current().resource("b://c") is None


async def test_an_outage_of_the_database_leaves_the_last_catalog(
    record: Record, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    await enter(record, "a", offering("convert"))
    await catalog.load()
    refused = asyncio.Event()

    def fail() -> None:
        refused.set()
        raise ConnectionRefusedError

    with monkeypatch.context() as broken:
        broken.setattr(record.database, "reading", fail)
        await record.bus.publish(CatalogChanged())
        await refused.wait()
    assert names(catalog.current()) == ["convert"]
    async with catalog.changes() as changes:
        await record.roster.offer("a", offering("zip"))
        await record.bus.publish(CatalogChanged())
        assert await changes.get() == {"tools"}
