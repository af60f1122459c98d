"""The server over HTTP, as an ASGI application."""

from __future__ import annotations

from tasks_server.assembly import assemble
from tasks_server.settings import Settings
from tasks_server.transport.http import HttpApp, create_http_app


def build_app(settings: Settings) -> HttpApp:
    """Its lifespan owns every connection and background task.

    Raises ConfigurationError here for settings that cannot work, and on start-up for a database that is not
    migrated.
    """
    assembly = assemble(settings)
    return create_http_app(assembly.parts, settings, assembly.look, lambda _: assembly.running())
