"""Serves the floor's routes until it is ended: `python -m benchmarks.floor`."""

from __future__ import annotations

import os

import uvicorn

from benchmarks.floor.app import create_app
from tasks_server.listener import listen, url_of

if __name__ == "__main__":
    listener = listen("127.0.0.1", 0)
    print(f"Listening on {url_of(listener)}", flush=True)
    app = create_app(os.environ["TASKS_DATABASE_URL"])
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
