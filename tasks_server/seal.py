"""Sealed tokens: what the server hands to a client to bring back, unreadable and unchangeable on the way.

Replicas that share `TASKS_SECRET_KEY` open each other's tokens. A token is bound to a purpose, so that one
made for one use is refused in another.
"""

from __future__ import annotations

import base64
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks_server.encoding import decode_json, encode_json
from tasks_server.errors import ConfigurationError, TasksError

MINIMUM_KEY_LENGTH = 32


class SealBroken(TasksError):
    """The token was not made here, not for this purpose, has been changed, or is too old."""


class Seal:
    """Fernet (AES-128-CBC with HMAC-SHA256) under a key derived per purpose."""

    def __init__(self, secret_key: str) -> None:
        if len(secret_key) < MINIMUM_KEY_LENGTH:
            raise ConfigurationError(
                f"TASKS_SECRET_KEY must have at least {MINIMUM_KEY_LENGTH} characters; "
                "`openssl rand -hex 32` makes a good one. Every replica needs the same."
            )
        self._secret = secret_key.encode()
        self._fernets: dict[str, Fernet] = {}

    def close(self, purpose: str, value: dict[str, Any]) -> str:
        return self._fernet(purpose).encrypt(encode_json(value)).decode()

    def open(self, purpose: str, token: str, max_age_seconds: int) -> dict[str, Any]:
        """What was sealed. Raises SealBroken."""
        try:
            _refuse_respelled(token)
            return decode_json(self._fernet(purpose).decrypt(token.encode(), ttl=max_age_seconds))
        except (InvalidToken, ValueError):
            raise SealBroken("the token is not valid here, has been changed, or has expired") from None

    def _fernet(self, purpose: str) -> Fernet:
        if purpose not in self._fernets:
            derived = HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(self._secret)
            self._fernets[purpose] = Fernet(base64.urlsafe_b64encode(derived))
        return self._fernets[purpose]


def _refuse_respelled(token: str) -> None:
    """Base64 reads several texts as the same bytes: it drops what follows the padding and foreign characters."""
    if base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)).decode() != token:
        raise InvalidToken
