"""Tokens that clients carry: only what was sealed here, for this use and not too long ago, is opened."""

from __future__ import annotations

import pytest

from tasks_server.errors import ConfigurationError
from tasks_server.seal import Seal, SealBroken

KEY = "a key of more than thirty-two characters"
SEAL = Seal(KEY)


def test_what_is_sealed_is_opened_by_whoever_shares_the_key():
    token = SEAL.close("call", {"task": "7"})
    assert Seal(KEY).open("call", token, 60) == {"task": "7"}


def test_a_token_says_nothing_to_who_carries_it():
    assert "secret" not in SEAL.close("call", {"task": "secret"})


def test_another_key_opens_nothing():
    with pytest.raises(SealBroken):
        Seal(KEY[::-1]).open("call", SEAL.close("call", {}), 60)


def test_a_token_for_another_purpose_is_refused():
    with pytest.raises(SealBroken):
        SEAL.open("cursor", SEAL.close("call", {}), 60)


def test_a_token_that_is_too_old_is_refused():
    with pytest.raises(SealBroken):
        SEAL.open("call", SEAL.close("call", {}), -1)


@pytest.mark.parametrize("length", range(0, 48, 7))
@pytest.mark.parametrize("tail", ["-TAMPERED", "=", "==", "\n", "é", "A"])
def test_a_token_with_anything_added_is_refused(length: int, tail: str):
    with pytest.raises(SealBroken):
        SEAL.open("call", SEAL.close("call", {"padding": "x" * length}) + tail, 60)


@pytest.mark.parametrize("token", ["", "=", "A", "AAAA", "not base64 at all", "\0", "☃"])
def test_what_was_never_a_token_is_refused(token: str):
    with pytest.raises(SealBroken):
        SEAL.open("call", token, 60)


def test_a_short_key_is_refused_with_a_remedy():
    with pytest.raises(ConfigurationError, match="at least 32 characters"):
        Seal("too short")
