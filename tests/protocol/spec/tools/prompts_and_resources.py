"""Prompts, resources, a template, and their completions."""

from __future__ import annotations

from collections.abc import Callable

from workers import ResourceNotFound, prompt, resource


def _languages(typed: str, others: dict[str, str]) -> list[str]:
    return [f"{typed}{number}" for number in range(150)] if not others else list(others.values())


@prompt(completions={"language": _languages})
async def review(code: str, language: str = "python") -> str:
    """Asks for a review."""
    return f"Review this {language}: {code}"


@resource("spec://text", mime_type="text/plain")
async def text() -> str:
    """A text."""
    return "It rains."


@resource("spec://bytes", mime_type="application/octet-stream")
async def octets() -> bytes:
    """Bytes that are no text."""
    return b"\x00\xff"


@resource("spec://note/{day}", mime_type="text/plain", completions={"day": lambda typed, others: ["monday"]})
async def note_of(day: str) -> str:
    """A note of some day."""
    if day == "never":
        raise ResourceNotFound(f"spec://note/{day}")
    return f"It rained on {day}."


def _one_of_many(number: int) -> Callable[[], str]:
    def read() -> str:
        return str(number)

    return resource(f"spec://many/{number}", name=f"many-{number}")(read)


# More than go onto a page.
MANY = 250
globals().update({f"many_{number}": _one_of_many(number) for number in range(MANY)})
