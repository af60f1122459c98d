"""The real fetch against a TLS server on loopback; only the look-up, the port and the addresses are arranged."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from workers.tools.addresses import Address, is_public
from workers.tools.https import HttpsRules
from workers.tools.sources import LocalSource, SourcePolicy, SourceRefused, open_source

HOST = "files.example"


def is_loopback(address: Address) -> bool:
    return str(address) == "127.0.0.1"


def anywhere(address: Address) -> bool:
    return True


def nowhere(address: Address) -> bool:
    return False


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.asked_for: list[str | None] = []
        context.sni_callback = lambda _, name, __: self.asked_for.append(name)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.requests: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def here(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    def do_GET(self) -> None:
        self.here.requests.append((self.path, self.headers["Host"]))
        path, _, query = self.path.partition("?")
        if path == "/redirect":
            self._answer(302, b"", Location=query)
        elif path == "/loop":
            self._answer(302, b"", Location=self.path)
        elif path == "/report":
            disposition = "attachment; filename*=UTF-8''annual%20report.csv"
            self._answer(200, b"a,b", Content_Type="text/csv; charset=utf-8", Content_Disposition=disposition)
        elif path == "/endless":
            self._stream()
        elif path == "/short":
            self._answer(200, b"only this", announced=100)
        elif path == "/silent":
            self.here.released.wait(10)
        elif path == "/gzip":
            self._answer(200, b"x", Content_Encoding="gzip")
        elif path == "/missing":
            self._answer(404, b"no")
        else:
            self._answer(200, b"hello", Content_Type="text/plain")

    def _answer(self, status: int, body: bytes, /, *, announced: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _stream(self) -> None:
        """Bytes without an announced length, one by one, until the other side has enough."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not self.here.released.wait(0.005):
            self.wfile.write(b"1\r\nx\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    server = Server(certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


Fetch = Callable[..., tuple[bytes, LocalSource]]


@pytest.fixture
def fetch(server: Server, certificate: Path) -> Fetch:
    """Fetch a path of the server, which goes by a name that resolves to loopback, and loopback is allowed."""

    def run(
        path: str,
        *,
        addresses: Sequence[str] = ("127.0.0.1",),
        allowed: Callable[[Address], bool] = is_loopback,
        trusted: bool = True,
        host: str = HOST,
        max_bytes: int = 1000,
        max_seconds: float = 20.0,
    ) -> tuple[bytes, LocalSource]:
        port = server.server_address[1]
        rules = HttpsRules(
            max_seconds=max_seconds,
            ports=frozenset({port}),
            is_allowed=allowed,
            resolve=lambda _, __: addresses,
            tls=lambda: ssl.create_default_context(cafile=certificate if trusted else None),
        )
        policy = SourcePolicy(max_source_bytes=max_bytes, https=rules)
        with open_source(f"https://{host}:{port}{path}", policy) as local:
            return local.path.read_bytes(), local

    return run


def test_a_public_file_is_fetched_under_its_own_name(fetch: Fetch, server: Server) -> None:
    content, local = fetch("/notes/my%20file.txt?v=1")
    assert content == b"hello"
    assert (local.name, local.media_type, local.size) == ("my file.txt", "text/plain", 5)
    assert server.requests == [("/notes/my%20file.txt?v=1", f"{HOST}:{server.server_address[1]}")]
    assert server.asked_for == [HOST], "the certificate of the name is asked for, not of the address"


def test_the_server_may_name_the_file(fetch: Fetch) -> None:
    _, local = fetch("/report")
    assert (local.name, local.media_type) == ("annual report.csv", "text/csv")


def test_redirects_are_followed_and_checked_again(fetch: Fetch) -> None:
    assert fetch("/redirect?/there")[0] == b"hello"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://files.example/", "http: instead of https:"),
        ("https://user:pass@files.example/", "user name or password"),
        ("https://files.example:22/", "Port 22 is not fetched from"),
        ("file:///etc/passwd", "file: instead of https:"),
        ("", "redirects to nowhere"),
    ],
)
def test_a_redirect_leads_nowhere_that_may_not_be_fetched(fetch: Fetch, target: str, expected: str) -> None:
    with pytest.raises(SourceRefused, match=expected):
        fetch(f"/redirect?{target}")


def test_redirects_end(fetch: Fetch, server: Server) -> None:
    with pytest.raises(SourceRefused, match="more than 5 times"):
        fetch("/loop")
    assert len(server.requests) == 6


def test_an_address_that_is_not_public_is_never_connected_to(fetch: Fetch, server: Server) -> None:
    with pytest.raises(SourceRefused, match=r"has the address 127\.0\.0\.1, which is not public"):
        fetch("/", allowed=is_public)
    assert server.requests == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(fetch: Fetch, server: Server) -> None:
    with pytest.raises(SourceRefused, match=r"10\.0\.0\.1"):
        fetch("/", addresses=("127.0.0.1", "10.0.0.1"))
    assert server.requests == []


def test_the_connection_goes_to_the_address_that_was_checked(server: Server, certificate: Path) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    port = server.server_address[1]
    rules = HttpsRules(
        ports=frozenset({port}),
        is_allowed=is_loopback,
        resolve=lambda _, __: next(answers),
        tls=lambda: ssl.create_default_context(cafile=certificate),
    )
    with open_source(f"https://{HOST}:{port}/", SourcePolicy(https=rules)) as local:
        assert local.size == 5
    assert next(answers) == ["10.0.0.1"], "the name is resolved once"


def test_the_next_address_is_tried_when_one_does_not_answer(fetch: Fetch) -> None:
    content, _ = fetch("/", addresses=("127.0.0.9", "127.0.0.1"), allowed=anywhere)
    assert content == b"hello"


def test_certificates_are_checked(fetch: Fetch) -> None:
    with pytest.raises(SourceRefused, match="certificate that cannot be trusted"):
        fetch("/", trusted=False)
    with pytest.raises(SourceRefused, match="certificate that cannot be trusted"):
        fetch("/", host="other.example")


def test_the_size_limit_holds_with_and_without_an_announced_length(fetch: Fetch) -> None:
    with pytest.raises(SourceRefused, match="at most 4 bytes"):
        fetch("/", max_bytes=4)
    with pytest.raises(SourceRefused, match="at most 4 bytes"):
        fetch("/endless", max_bytes=4)


@pytest.mark.parametrize("path", ["/silent", "/endless"])
def test_the_time_limit_holds_whatever_the_server_sends(fetch: Fetch, path: str) -> None:
    with pytest.raises(SourceRefused, match=r"did not send everything within 0\.3 seconds"):
        fetch(path, max_seconds=0.3, max_bytes=10**9)


def test_an_answer_that_ends_early_is_not_taken_for_the_file(fetch: Fetch) -> None:
    with pytest.raises(SourceRefused, match="ended the answer"):
        fetch("/short")


def test_other_answers_are_told(fetch: Fetch) -> None:
    with pytest.raises(SourceRefused, match="answered 404 Not Found"):
        fetch("/missing")
    with pytest.raises(SourceRefused, match=r"compressed \(gzip\)"):
        fetch("/gzip")


def test_a_name_that_does_not_resolve_and_a_port_nobody_listens_on_are_told() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with (
        pytest.raises(SourceRefused, match="cannot be resolved"),
        open_source("https://nowhere.example/", SourcePolicy(https=HttpsRules(resolve=unknown))),
    ):
        pass
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        rules = HttpsRules(ports=frozenset({port}), is_allowed=anywhere, resolve=lambda _, __: ["127.0.0.1"])
        with (
            pytest.raises(SourceRefused, match="could not be read from"),
            open_source(f"https://a.example:{port}/", SourcePolicy(https=rules)),
        ):
            pass


@pytest.mark.parametrize(
    "url", ["https:///x", "https://a.example:x/", "https://[::1/", "https://a.example:8443/"]
)
def test_urls_that_make_no_sense_are_refused(url: str) -> None:
    with (
        pytest.raises(SourceRefused),
        open_source(url, SourcePolicy(https=HttpsRules(is_allowed=nowhere))),
    ):
        pass


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
def test_no_spelling_of_loopback_is_fetched(host: str) -> None:
    with pytest.raises(SourceRefused), open_source(f"https://{host}/", SourcePolicy(https=HttpsRules())):
        pass


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8", "192.0.2.1",
        "192.88.99.1", "192.168.1.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "64:ff9b:1::1",
        "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fe80::1",
        "fe80::1%eth0", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_every_other_kind_of_address_is_not(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
