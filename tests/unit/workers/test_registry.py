from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from workers import DeclarationError, ResourceNotFound, prompt, resource, tool
from workers.errors import NotOffered
from workers.registry import Registry

TOOL = '''
from workers import tool
@tool({options})
async def {name}() -> None:
    """."""
'''

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write importable modules below a package name that is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def write_module(file: str, text: str) -> None:
        path = tmp_path / "offers" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))

    write_module("__init__.py", "")
    yield write_module
    for name in [name for name in sys.modules if name.split(".")[0] == "offers"]:
        del sys.modules[name]


def names(registry: Registry) -> list[str]:
    return [offer.name for offer in registry.manifest().tools]


def queues(registry: Registry) -> dict[str, str]:
    return {offer.name: offer.queue for offer in registry.manifest().tools}


def test_a_module_offers_its_functions_in_the_order_it_defines_them(write: Write) -> None:
    write("many.py", TOOL.format(name="b", options="") + TOOL.format(name="a", options=""))
    write("more.py", TOOL.format(name="_hidden_name_is_fine", options=""))
    assert names(Registry.load(["offers.many", "offers.more"])) == ["b", "a", "_hidden_name_is_fine"]


def test_a_package_offers_what_it_imports_from_below(write: Write) -> None:
    write("inner/__init__.py", "from offers.inner.one import one")
    write("inner/one.py", TOOL.format(name="one", options="") + TOOL.format(name="two", options=""))
    assert names(Registry.load(["offers.inner"])) == ["one"]


def test_a_module_does_not_offer_what_it_merely_uses(write: Write) -> None:
    write("ours.py", TOOL.format(name="ours", options=""))
    write("theirs.py", "from offers.ours import ours\n" + TOOL.format(name="theirs", options=""))
    assert names(Registry.load(["offers.theirs"])) == ["theirs"]


def test_a_module_offers_what_its_all_names(write: Write) -> None:
    write("ours.py", TOOL.format(name="ours", options=""))
    write("theirs.py", "from offers.ours import ours\n__all__ = ['ours']")
    assert names(Registry.load(["offers.theirs"])) == ["ours"]


def test_one_function_reached_twice_is_offered_once(write: Write) -> None:
    write("ours.py", TOOL.format(name="ours", options="") + "\nagain = ours\n")
    write("theirs.py", "from offers.ours import ours\n__all__ = ['ours']")
    assert names(Registry.load(["offers.ours", "offers.theirs"])) == ["ours"]


def test_two_functions_of_one_name_are_refused(write: Write) -> None:
    write("one.py", TOOL.format(name="same", options=""))
    write("two.py", TOOL.format(name="other", options="'same'"))
    with pytest.raises(
        DeclarationError, match=r"offers\.two\.other: 'same' is already offered by offers\.one\.same"
    ):
        Registry.load(["offers.one", "offers.two"])


def test_a_tool_and_a_prompt_may_share_a_name() -> None:
    @tool("both")
    async def as_tool() -> None:
        """."""

    @prompt("both")
    async def as_prompt() -> str:
        """."""
        return ""

    registry = Registry()
    registry.add(as_tool)
    registry.add(as_prompt)
    assert registry.tool("both").function is as_tool
    assert registry.prompt("both").function is as_prompt


def test_the_queue_is_the_tools_own_else_the_workers_else_the_modules(write: Write) -> None:
    write("work.py", TOOL.format(name="own", options="queue='gpu'") + TOOL.format(name="usual", options=""))
    assert queues(Registry.load(["offers.work"])) == {"own": "gpu", "usual": "offers.work"}
    assert queues(Registry.load(["offers.work"], "night")) == {"own": "gpu", "usual": "night"}


def test_a_package_is_one_queue(write: Write) -> None:
    write("inner/__init__.py", "from offers.inner.one import one")
    write("inner/one.py", TOOL.format(name="one", options=""))
    assert queues(Registry.load(["offers.inner"])) == {"one": "offers.inner"}


def test_the_built_in_tools_have_the_default_queue() -> None:
    @tool()
    async def built_in() -> None:
        """."""

    built_in.__module__ = "workers.tools.something"
    registry = Registry()
    registry.add(built_in)
    assert queues(registry) == {"built_in": "default"}


def test_a_function_added_later_joins_the_queue_of_its_worker(write: Write) -> None:
    @tool()
    async def late() -> None:
        """."""

    write("work.py", TOOL.format(name="early", options=""))
    registry = Registry.load(["offers.work"])
    registry.add(late)
    assert queues(registry) == {"early": "offers.work", "late": "offers.work"}
    registry.remove(late)
    registry.remove(late)
    assert names(registry) == ["early"]


def test_an_undecorated_function_cannot_be_added() -> None:
    with pytest.raises(DeclarationError, match="not decorated"):
        Registry().add(names)


@resource("note://all")
async def every_note() -> str:
    return ""


@resource("note://{name}")
async def one_note(name: str) -> str:
    return name


@resource("note://{year}/{name}")
async def old_note(year: str, name: str) -> str:
    return year + name


def test_a_fixed_uri_goes_before_templates() -> None:
    registry = Registry()
    for function in (one_note, old_note, every_note):
        registry.add(function)
    assert registry.resource("note://all")[0].function is every_note
    definition, variables = registry.resource("note://a%20b")
    assert (definition.function, variables) == (one_note, {"name": "a b"})
    assert registry.resource("note://1999/x")[1] == {"year": "1999", "name": "x"}
    assert registry.resource_template("note://{name}").function is one_note
    manifest = registry.manifest()
    assert [offer.uri for offer in manifest.resources] == ["note://all"]
    assert [offer.name for offer in manifest.resource_templates] == ["one_note", "old_note"]


def test_what_is_not_offered_is_an_invalid_parameter() -> None:
    registry = Registry()
    for look_up in (registry.tool, registry.prompt, registry.resource_template):
        with pytest.raises(NotOffered) as raised:
            look_up("nothing")
        assert raised.value.code == -32602
    with pytest.raises(ResourceNotFound) as not_found:
        registry.resource("note://x")
    assert not_found.value.data == {"uri": "note://x"}


def test_a_template_pattern_is_literal_outside_its_variables() -> None:
    registry = Registry()
    registry.add(dotted)
    assert registry.resource("note://a.b/x")[1] == {"name": "x"}
    with pytest.raises(ResourceNotFound):
        registry.resource("note://a-b/x")


@resource("note://a.b/{name}")
async def dotted(name: str) -> str:
    return name
