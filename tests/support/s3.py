"""A server that speaks S3 over HTTP, in a process of its own: run as a script it is that server."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.servers import Server, socket_directory

BUCKET = "artifacts"


class S3Server(Server):
    """moto's S3, which keeps everything in memory and believes every credential."""

    def __init__(self) -> None:
        super().__init__(socket_directory())
        self._port = self.directory / "port"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port.read_text()}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of S3 reads."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "something",
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        self._spawn([sys.executable, __file__, str(self._port)], self._answers)

    def create_bucket(self) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")).close()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint).close()
        except (OSError, urllib.error.URLError):
            return False
        return True


def _serve(port_file: Path) -> None:
    from moto.moto_server import werkzeug_app  # pyright: ignore[reportMissingTypeStubs]
    from werkzeug.serving import make_server

    application = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    written = port_file.with_suffix(".new")
    written.write_text(str(server.server_port))
    written.rename(port_file)
    server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
