"""Fetch an https: URL of a public host, and nothing that only looks like one.

A URL from a caller must not become a way into the network this worker stands in. So the name is resolved
once, every address it has must be public, the connection goes to the address that was checked (a second
look-up could answer differently), and redirects are followed by hand under the same rules. Proxies from the
environment are ignored: a proxy would resolve the name again, out of sight of these checks.

The standard library's `http.client` does this in fewer lines than a client library needs to be talked out of
its own resolving, pooling and redirecting, and a worker then installs nothing for it.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import NoReturn, Self
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from workers.tools.addresses import Address, is_public
from workers.tools.refusal import SourceRefused

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address the system's resolver knows for the host."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


@dataclass(frozen=True, slots=True)
class HttpsRules:
    """What may be fetched, and how the outside world is reached."""

    max_seconds: float = 300.0
    ports: frozenset[int] = frozenset({443})
    is_allowed: Callable[[Address], bool] = is_public
    resolve: Callable[[str, int], Sequence[str]] = resolve
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context


@dataclass(frozen=True, slots=True)
class Download:
    """A response whose body is still to be read. size is what the server announced, if it did."""

    name: str
    media_type: str | None
    size: int | None
    chunks: Iterator[bytes]


@contextlib.contextmanager
def fetch(url: str, rules: HttpsRules) -> Generator[Download]:
    """Open the body behind `url`, following at most five redirects.

    Raises SourceRefused for every way in which this can go wrong, also while the body is being read.
    """
    deadline = time.monotonic() + rules.max_seconds
    for _ in range(MAX_REDIRECTS + 1):
        target = _parse(url, rules)
        with _Connection(target, rules, deadline) as connection:
            response = connection.request()
            if response.status not in REDIRECTS:
                yield _download(target, response, connection)
                return
            url = urljoin(url, response.headers.get("Location") or _refuse(target, "redirects to nowhere"))
    raise SourceRefused(f"The URL redirects more than {MAX_REDIRECTS} times. Give the address it ends at.")


def _parse(url: str, rules: HttpsRules) -> SplitResult:
    try:
        target = urlsplit(url)
        port = target.port or 443
    except ValueError as error:
        raise SourceRefused(f"The URL is not valid: {error}.") from error
    if target.scheme != "https":
        raise SourceRefused(
            f"The URL leads to {target.scheme or 'no'}: instead of https:. Only https: is fetched."
        )
    if not target.hostname:
        raise SourceRefused("The URL names no host. Write https://host/path.")
    if target.username is not None or target.password is not None:
        raise SourceRefused("URLs with a user name or password in them are not fetched. Remove that part.")
    if port not in rules.ports:
        raise SourceRefused(f"Port {port} is not fetched from; only port 443 is.")
    return target


def _refuse(target: SplitResult, reason: str) -> NoReturn:
    raise SourceRefused(f"https://{target.hostname} {reason}.")


class _Connection:
    """One TLS connection to a checked address, closed at the deadline from outside if need be.

    A socket timeout starts anew with every byte, so a server that sends one now and then would never run into
    it; the timer does not care what the server sends.
    """

    def __init__(self, target: SplitResult, rules: HttpsRules, deadline: float) -> None:
        self._target = target
        self._rules = rules
        self._deadline = deadline
        self._host = _ascii_host(target.hostname or "")
        self._socket: socket.socket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._hang_up)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._response is not None:
            self._response.close()
        if self._socket is not None:
            self._socket.close()

    def request(self) -> http.client.HTTPResponse:
        """Connect, send the GET, and read the status line and the headers."""
        with self._refusing():
            self._socket = self._connect()
            path = quote(self._target.path or "/", safe="/%:@!$&'()*+,;=~-._")
            query = f"?{quote(self._target.query, safe='/%:@!$&()*+,;=?~-._')}" if self._target.query else ""
            port = self._target.port or 443
            connection = http.client.HTTPConnection(self._host, port)
            connection.sock = self._socket
            connection.putrequest("GET", path + query, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", self._target.netloc if port != 443 else _bracketed(self._host))
            connection.putheader("Accept", "*/*")
            connection.putheader("Accept-Encoding", "identity")
            connection.putheader("User-Agent", "tasks-server")
            connection.putheader("Connection", "close")
            connection.endheaders()
            self._response = connection.getresponse()
            return self._response

    def body(self, response: http.client.HTTPResponse, size: int | None) -> Iterator[bytes]:
        """The body, or SourceRefused when it ends early."""
        received = 0
        with self._refusing():
            # read1 gives what has come; read would wait for a whole chunk before anybody could object to it.
            while chunk := response.read1(CHUNK_BYTES):
                received += len(chunk)
                yield chunk
        if time.monotonic() >= self._deadline:
            self._complain("took too long to answer")
        if size is not None and received < size:
            self._complain(f"ended the answer after {received:,} of {size:,} bytes; try again later")

    def _connect(self) -> socket.socket:
        port = self._target.port or 443
        addresses = self._rules.resolve(self._host, port)
        for address in addresses:
            if not self._rules.is_allowed(ipaddress.ip_address(address)):
                raise SourceRefused(
                    f"{self._target.hostname} has the address {address}, which is not public. Only public "
                    "hosts are fetched; send the content as a data: URI instead."
                )
        for number, address in enumerate(addresses, start=1):
            try:
                plain = socket.create_connection((address, port), timeout=self._patience())
                break
            except OSError:
                if number == len(addresses):
                    raise
        else:
            raise OSError("the name has no address")
        # The handshake comes after the assignment, so that the timer can end it too. A body that ends without
        # TLS's own goodbye was cut off.
        self._socket = self._rules.tls().wrap_socket(
            plain, server_hostname=self._host, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        self._socket.do_handshake()
        return self._socket

    def _patience(self) -> float:
        return max(0.001, min(CONNECT_SECONDS, self._deadline - time.monotonic()))

    @contextlib.contextmanager
    def _refusing(self) -> Generator[None]:
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            self._complain(f"has a certificate that cannot be trusted: {error.verify_message}", error)
        except socket.gaierror as error:
            self._complain("is a name that cannot be resolved; check the spelling", error)
        except TimeoutError as error:
            self._complain("took too long to answer", error)
        except (http.client.IncompleteRead, ssl.SSLEOFError) as error:
            self._complain("ended the answer early; try again later", error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._complain(f"could not be read from: {error or type(error).__name__}", error)

    def _complain(self, reason: str, error: Exception | None = None) -> NoReturn:
        if time.monotonic() >= self._deadline:
            reason = f"did not send everything within {self._rules.max_seconds:g} seconds"
        raise SourceRefused(f"https://{self._target.hostname} {reason}.") from error

    def _hang_up(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown, which pulls the TLS state away from under the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _download(target: SplitResult, response: http.client.HTTPResponse, connection: _Connection) -> Download:
    if response.status != 200:
        hint = "it wants a login" if response.status in (401, 403) else "check the address"
        _refuse(target, f"answered {response.status} {response.reason}; {hint}")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", ""):
        _refuse(target, f"sends its answer compressed ({encoding}) although it was asked not to")
    size = response.length if not response.chunked else None
    declared = response.headers.get("Content-Type")
    return Download(
        name=_name_of(target, response.headers),
        media_type=declared.split(";")[0].strip().lower() if declared else None,
        size=size,
        chunks=connection.body(response, size),
    )


def _name_of(target: SplitResult, headers: Message) -> str:
    """What the server calls the file (RFC 6266), else the last part of the URL's path."""
    return headers.get_filename() or unquote(target.path.rsplit("/", 1)[-1])


def _ascii_host(host: str) -> str:
    if re.fullmatch(r"[0-9A-Fa-f:.%]+|[A-Za-z0-9._-]+", host):
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise SourceRefused(f"{host!r} is not a host name.") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
