"""How much a dataset tool may use. `docs/datasets.md` has the same figures for users."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

PROCESS_MEMORY = "3GiB"
"""For the whole subprocess: the engine, Python, a workbook being read and the drawing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes unless the name says otherwise.

    engine_memory: what DuckDB keeps in memory before it spills to disk. It stays well below PROCESS_MEMORY,
    because DuckDB does not count everything it allocates.
    spill: what DuckDB may write to disk. unpacked: text after decompression, or one workbook's XML.
    cells: of one worksheet, counted as the rectangle that holds all of its values.
    result: the file with a query's whole result. preview: the rows of it that are returned inline, as JSON.
    """

    engine_memory: int = GIB
    engine_threads: int = 2
    spill: int = 8 * GIB
    unpacked: int = 2 * GIB
    cells: int = 20_000_000
    columns: int = 2_000
    result: int = GIB
    preview: int = 32 * KIB


def in_words(size: int) -> str:
    """1610612736 → "1.5 GiB"."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"
