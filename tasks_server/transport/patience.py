"""How long clients may take, and how much head they may send: who sends or reads nothing must not cost for ever.

uvicorn counts only the pause between two requests. A client that begins a request and does not end it, or asks
for much and reads nothing, would cost a file descriptor and memory for as long as it likes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tasks_server.protocol.bell import Bell

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

HEAD_SECONDS = 30.0
"""From the connection, or the end of the answer before, to the last header."""

HEAD_BYTES = 64 * 1024
"""How long the head of a request may be, and what follows a chunked body, as far as it has not come at once."""

SILENCE_SECONDS = 30.0
"""How long nothing may come of a body that is not complete."""

TRANSFER_SECONDS = 300.0
"""How long a whole body may take to come, and what was written to be read."""


DEPARTURE = "departure"
"""Where the application finds the bell that rings when its client hangs up, in the state of its scope.

ASGI tells that only to who waits for another message, which takes a task for every open stream.
"""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which hangs up on clients that do not get their request out, or the answer in."""

    _waiting_for_head: asyncio.TimerHandle | None = None
    _waiting_for_reader: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0
    # From the header of a chunk to what it holds; the last one holds nothing but trailers.
    _is_between_chunks = False
    _trailer_bytes = 0
    _answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._departure = Bell()
        super().connection_made(transport)
        self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope.setdefault("state", {})[DEPARTURE] = self._departure
        self._is_in_head, self._head_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are no headers (RFC 9110, 6.5.1), and nothing here asks for any.
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._is_between_chunks, self._trailer_bytes = True, 0

    def on_body(self, body: bytes) -> None:
        self._is_between_chunks = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_between_chunks = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        was_between_chunks = self._is_between_chunks
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self.send_400_response(f"The head of the request is longer than {HEAD_BYTES} bytes.")
        elif was_between_chunks and self._is_between_chunks:
            self._trailer_bytes += len(data)
            if self._trailer_bytes > HEAD_BYTES:
                self.transport.abort()
        if not self._is_between_requests():
            self._stop_expecting_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_between_requests():  # a request that was sent ahead may have been begun already
            self._expect_head()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waiting_for_reader = self.loop.call_later(TRANSFER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_expecting_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting_head()
        self._stop_expecting_reader()
        # uvicorn tells only the last request that was sent ahead, and takes it amiss when the one before has no answer.
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
        self._departure.set()

    def _is_between_requests(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is None or cycle.response_complete

    def _expect_head(self) -> None:
        self._stop_expecting_head()
        self._waiting_for_head = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_expecting_head(self) -> None:
        if self._waiting_for_head is not None:
            self._waiting_for_head.cancel()
            self._waiting_for_head = None

    def _stop_expecting_reader(self) -> None:
        if self._waiting_for_reader is not None:
            self._waiting_for_reader.cancel()
            self._waiting_for_reader = None
