"""The table of attacks in docs/testing.md says how many there are."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from subcli.server.accounts.tokens import AccessClaims, TokenIssuer
from subcli.server.settings import ServerLimits
from tests.server.accounts.forgery import claims_of, forged, malformed
from tests.server.conftest import KEY
from tests.server.edge import test_hostile_values
from tests.server.edge.test_floods import FLOODS
from tests.server.edge.test_origins import NONSENSE, NONSENSE_HOSTS
from tests.server.edge.test_page_token import BROWSERS, WRONG_TOKENS

TESTING = Path(__file__).parents[3] / "docs" / "testing.md"


def tokens() -> int:
    """Forged access tokens, and watch tokens with one malformed claim."""
    issuer = TokenIssuer(KEY, ServerLimits(), time.time)
    watch, _ = issuer.watch(AccessClaims(2, "0" * 32, time.time() + 600), 1)
    watches = malformed(claims_of(watch), KEY, "watch+jwt")
    return len(dict(forged(issuer.access(2, "0" * 32), KEY))) + len(dict(watches))


COUNTED = {
    "tokens": (tokens, 80),
    "origins and hosts": (lambda: len({*NONSENSE}) + len({*NONSENSE_HOSTS}), 40),
    "other websites": (lambda: len({*BROWSERS}) + len({*WRONG_TOKENS}), 15),
    "floods of connections": (lambda: len(FLOODS), 15),
    "hostile values": (test_hostile_values.count, 1000),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_number_of_attacks(kind: str) -> None:
    """As many as the table says, and no fewer than there should be."""
    count, least = COUNTED[kind]
    said = re.search(rf"^\| {kind} \| ([\d,]+) \|", TESTING.read_text(), re.MULTILINE)
    assert said is not None
    assert int(said[1].replace(",", "")) == count() >= least
