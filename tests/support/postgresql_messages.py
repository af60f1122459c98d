"""What a client of PostgreSQL says: enough of the wire protocol to tell which statements a commit is about."""

from __future__ import annotations

from collections.abc import Iterator

# How an answer ends when no transaction is open any more.
READY_AND_IDLE = b"Z\0\0\0\5I"


class Listener:
    """Reads along over one connection, from its beginning."""

    def __init__(self) -> None:
        self._rest = b""
        self._started = False
        self._prepared: dict[bytes, bytes] = {}
        self._transaction: list[bytes] | None = None

    def committed(self, data: bytes) -> list[bytes]:
        """The statements that this asks to commit, each followed by its parameters.

        One outside a transaction commits when it is run; preparing it commits nothing.
        """
        found: list[bytes] = []
        for kind, body in self._messages(data):
            match kind:
                case b"P":
                    name, statement, _ = body.split(b"\0", 2)
                    self._prepared[name] = statement
                case b"B":
                    _, name, parameters = body.split(b"\0", 2)
                    found += self._run(self._prepared[name] + parameters)
                case b"Q":
                    found += self._run(body)
                case _:
                    pass
        return found

    def _run(self, statement: bytes) -> list[bytes]:
        if statement.startswith(b"BEGIN"):
            self._transaction = []
        elif self._transaction is None:
            return [statement]
        elif statement.startswith((b"COMMIT", b"ROLLBACK")):
            ended, self._transaction = self._transaction, None
            return ended if statement.startswith(b"COMMIT") else []
        else:
            self._transaction.append(statement)
        return []

    def _messages(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The whole messages there are by now: type and body. Only the first one of a connection has no type."""
        self._rest += data
        while True:
            start = 1 if self._started else 0
            end = start + int.from_bytes(self._rest[start : start + 4], "big")
            if not start + 4 <= end <= len(self._rest):
                return
            message, self._rest = self._rest[:end], self._rest[end:]
            if self._started:
                yield message[:1], message[5:]
            self._started = True
