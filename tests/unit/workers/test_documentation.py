"""The snippets of docs/tools.md are modules that work."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks_server.task import Method
from tests.unit.workers.recording_port import RecordingPort
from workers.execution import Work, perform
from workers.registry import Registry

PAGE = Path(__file__).parents[3] / "docs" / "tools.md"
SNIPPETS = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(), re.DOTALL))
YES = {"action": "accept", "content": {"confirm": True}}


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    for name, text in SNIPPETS.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return Registry.load(SNIPPETS)


CALLS: list[tuple[Method, str, dict[str, Any], str]] = [
    (Method.CALL_TOOL, "count_words", {"text": "a bee", "ignore": ["a"]}, '{"words":1,"longest":"bee"}'),
    (Method.CALL_TOOL, "count_words", {"text": ""}, "The text has no words. Send some text."),
    (Method.CALL_TOOL, "summarise", {"csv": "a\n1\n"}, "2 rows."),
    (Method.CALL_TOOL, "forecast", {"city": "Ulm"}, "Sunny in Ulm."),
    (Method.CALL_TOOL, "translate", {"source": "p", "pages": 2}, "English: p 1 p 2"),
    (Method.CALL_TOOL, "burn", {"title": "Emma"}, "Emma burns."),
    (Method.CALL_TOOL, "crunch", {"numbers": [1, 2]}, "3"),
    (Method.GET_PROMPT, "review", {"book": "emma"}, "Write a kind review of emma."),
    (Method.READ_RESOURCE, "library://catalogue", {}, '["emma"]'),
    (Method.READ_RESOURCE, "library://books/emma", {}, "Emma Woodhouse, handsome, clever, and rich…"),
]


@pytest.mark.parametrize(("method", "name", "arguments", "said"), CALLS)
async def test_a_snippet_does_what_the_page_says(
    documented: Registry, method: Method, name: str, arguments: dict[str, Any], said: str
) -> None:
    port = RecordingPort({"sure": YES, "style": {"action": "decline"}})
    result = await perform(Work(method, name, arguments, "t", 1), documented, port)
    assert said in _texts(result)


def test_every_snippet_of_the_page_is_tried(documented: Registry) -> None:
    manifest = documented.manifest()
    offers = [*manifest.tools, *manifest.prompts, *manifest.resources, *manifest.resource_templates]
    assert len(SNIPPETS) == PAGE.read_text().count("```python")
    assert len(offers) == len({name for _, name, _, _ in CALLS})


def _texts(result: dict[str, Any]) -> list[str]:
    blocks: list[Any] = [
        *result.get("content", []),
        *result.get("contents", []),
        *(message["content"] for message in result.get("messages", [])),
    ]
    return [block["text"] for block in blocks if "text" in block]
