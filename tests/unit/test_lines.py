"""Lines over real pipes and files: whatever comes in pieces, is too long, or is not read."""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tasks_server.transport.lines import UNREAD_BYTES, Line, LineReader, LineWriter
from tests.support.waiting import wait_until

LIMIT = 100


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """A pipe: where to read and where to write."""
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        with suppress(OSError):
            os.close(end)


async def all_of(reader: LineReader) -> list[bytes | Line]:
    return [line async for line in reader.lines()]


async def read_back(ends: tuple[int, int], *pieces: bytes) -> list[bytes | Line]:
    """What a reader makes of these pieces, each of which it has to read by itself."""
    reading, writing = ends
    task = asyncio.create_task(all_of(LineReader(reading, LIMIT)))
    for piece in pieces:
        os.write(writing, piece)
        await wait_until(lambda: unread(reading) == 0, describing="the piece to be read")
    os.close(writing)
    return await task


def unread(descriptor: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((b"one\ntwo\n",), [b"one", b"two"]),
        ((b"o", b"n", b"e\nt", b"wo", b"\n"), [b"one", b"two"]),
        ((b"one\r\n\n  \r\ntwo\n",), [b"one\r", b"two"]),
        ((b"one\ntw", b"o"), [b"one", b"two"]),
        ((b"x" * LIMIT + b"\n",), [b"x" * LIMIT]),
        ((b"x" * (LIMIT + 1) + b"\ntwo\n",), [Line.TOO_LONG, b"two"]),
        ((b"x" * LIMIT, b"x" * LIMIT, b"x" * LIMIT + b"\ntwo\n"), [Line.TOO_LONG, b"two"]),
        ((b"x" * LIMIT, b"x\ntwo\n"), [Line.TOO_LONG, b"two"]),
        ((b"x" * 300,), [Line.TOO_LONG]),
        ((), []),
    ],
)
async def test_lines_come_whole(ends: tuple[int, int], pieces: tuple[bytes, ...], lines: list[bytes | Line]):
    assert await read_back(ends, *pieces) == lines


async def test_a_file_is_read_to_its_end(tmp_path: Path):
    (tmp_path / "requests").write_bytes(b"one\ntwo\n")
    with (tmp_path / "requests").open("rb") as file:
        assert await all_of(LineReader(file.fileno(), LIMIT)) == [b"one", b"two"]


async def test_open_files_that_others_share_stay_as_they_are(ends: tuple[int, int]):
    reading, writing = ends
    writer = LineWriter(writing)
    await writer.send(b"one")
    lines = LineReader(reading, LIMIT).lines()
    assert await anext(lines) == b"one"
    assert os.get_blocking(reading)
    assert os.get_blocking(writing)
    await lines.aclose()


async def test_what_was_sent_first_is_written_first(ends: tuple[int, int]):
    reading, writing = ends
    writer = LineWriter(writing)
    await asyncio.gather(*(writer.send(str(number).encode()) for number in range(100)))
    await writer.flush()
    assert os.read(reading, 4096).split() == [str(number).encode() for number in range(100)]


async def test_whoever_has_more_to_say_waits_for_a_slow_reader(ends: tuple[int, int]):
    reading, writing = ends
    writer = LineWriter(writing)
    sent = 0

    async def send_all() -> None:
        nonlocal sent
        for _ in range(60):
            await writer.send(b"x" * 65_535)
            sent += 65_536

    sending = asyncio.create_task(send_all())
    await wait_until(lambda: sent > UNREAD_BYTES, describing="the writer to fall behind")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(sending)
    assert sent < 2 * UNREAD_BYTES
    read = 0
    while read < 60 * 65_536:
        read += len(await asyncio.to_thread(os.read, reading, 65_536))
    await sending
    await writer.flush()


@pytest.mark.parametrize("is_blocking", [True, False])
async def test_nobody_waits_for_a_reader_that_has_gone(ends: tuple[int, int], is_blocking: bool):
    reading, writing = ends
    os.set_blocking(writing, is_blocking)
    writer = LineWriter(writing)
    sending = asyncio.create_task(flood(writer))
    await wait_until(lambda: unread(reading) >= 65_536, describing="a full pipe")
    os.close(reading)
    async with asyncio.timeout(5):
        await writer.broken.wait()
        await sending
        await writer.send(b"into the void")
        await writer.flush()


async def flood(writer: LineWriter) -> None:
    for _ in range(100):
        await writer.send(b"x" * 65_535)


async def test_a_pipe_that_somebody_has_made_non_blocking_is_written_to_its_end(ends: tuple[int, int]):
    reading, writing = ends
    os.set_blocking(writing, False)
    writer = LineWriter(writing)
    await writer.send(b"x" * 500_000)
    read = b""
    while not read.endswith(b"\n"):
        read += await asyncio.to_thread(os.read, reading, 65_536)
    assert len(read) == 500_001
