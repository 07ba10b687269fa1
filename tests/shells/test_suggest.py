"""What somebody who mistyped a name may have meant."""

from __future__ import annotations

import pytest

from subcli.suggest import did_you_mean

NAMES = ["leader-election", "lru-cache", "Python"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("leader-electoin", "leader-election"),
        ("lru", "lru-cache"),
        ("LRU-CACHE", "lru-cache"),
        ("pyton", "Python"),
        ("cobol", None),
        ("", None),
        ("l", None),
    ],
)
def test_near_names(typed: str, meant: str | None) -> None:
    """A typing error and a beginning are understood; what is far from everything is not guessed."""
    assert did_you_mean(typed, NAMES) == (f"Did you mean `{meant}`?" if meant else "")


def test_long_words_cost_little() -> None:
    """A word without end is compared by its beginning."""
    assert did_you_mean("x" * 10**6, NAMES) == ""
