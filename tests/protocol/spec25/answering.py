"""Answering questions that come on a stream."""

from __future__ import annotations

from tests.protocol.spec25.session import Session
from tests.protocol.spec25.stream import Stream

ASK = "elicitation/create"


async def answer_both(session: Session, stream: Stream) -> None:
    """Answer what `ask_twice` asks."""
    await session.accept(await stream.next(ASK), name="Ada")
    await session.accept(await stream.next(ASK), ok=True)
