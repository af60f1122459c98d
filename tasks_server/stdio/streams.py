"""The standard streams: the host's pipes are for the protocol alone, whatever else reads and prints."""

from __future__ import annotations

import os
from dataclasses import dataclass

STDIN, STDOUT, STDERR = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Streams:
    """Descriptors that no child inherits."""

    input: int
    output: int


def take_over() -> Streams:
    """What the host has given us. From now on stdin is empty, and what is printed goes to stderr, in children too."""
    streams = Streams(os.dup(STDIN), os.dup(STDOUT))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, STDIN)
    os.close(nothing)
    os.dup2(STDERR, STDOUT)
    return streams
