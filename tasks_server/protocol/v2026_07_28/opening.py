"""What a client may ask before any part of the server is there. It loads in a moment."""

from __future__ import annotations

from tasks_server.protocol.dialect import Dialect
from tasks_server.protocol.v2026_07_28.discover import discover

VERSION = "2026-07-28"

OPENING = Dialect(version=VERSION, handlers={"server/discover": discover}, name_sources={})
