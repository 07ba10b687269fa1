"""The form of access tokens and of links."""

from __future__ import annotations

import re

import pytest

from subcli.shared.opaque_token import ACCESS, LINK, PATTERN, RANDOM_BYTES, is_ours, is_well_formed, make
from subcli.shared.secret import MASK, redact

RANDOM = [bytes(RANDOM_BYTES), bytes(range(RANDOM_BYTES)), b"\xff" * RANDOM_BYTES]


@pytest.mark.parametrize("prefix", [ACCESS, LINK])
@pytest.mark.parametrize("random", RANDOM)
def test_form(prefix: str, random: bytes) -> None:
    """A scanner finds it by the pattern, wherever it stands, and the log hides it."""
    token = make(prefix, random)
    assert token.startswith(prefix)
    assert is_ours(token)
    assert is_well_formed(token)
    assert re.findall(PATTERN, f'SUBCLI_TOKEN="{token}"') == [token]
    for text in (token, f"seen {token}.", f"/submissions/1#link={token}", token[:30]):
        assert token[:30] not in redact(text)
        assert MASK in redact(text)


def test_different() -> None:
    """All the randomness is in the token."""
    assert len({make(ACCESS, random) for random in RANDOM}) == 3


def test_typing_errors() -> None:
    """A token with one character changed, missing or added is none; nor is one with another prefix."""
    token = make(ACCESS, RANDOM[1])
    for place in range(len(ACCESS), len(token)):
        other = "x" if token[place] != "x" else "y"
        assert not is_well_formed(token[:place] + other + token[place + 1 :])
    for text in (token[:-1], token + "0", " " + token, token.replace("pat", "link"), "", token[::-1]):
        assert not is_well_formed(text)


@pytest.mark.parametrize("token", ["eyJhbGciOi.eyJz.x", "ghp_abc", "", "subcli_", "SUBCLI_PAT_x"])
def test_tokens_of_others(token: str) -> None:
    """They may be renewable, so nothing is assumed about them."""
    assert not is_ours(token)
