"""Names of users: which are valid, and which are the same. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
"""A valid user name."""
RULE: Final = "Up to 64 letters, digits and . _ @ + -, the first a letter or digit."
"""What `NAME` allows, as a sentence."""


def is_valid(name: str) -> bool:
    """Whether a user may have this name."""
    return NAME.fullmatch(name) is not None


def name_key(name: str) -> str:
    """What two spellings of one name have in common: `ada`, `Ada` and `ＡＤＡ` are the same user.

    Compatibility forms and case do not count (NFKC and full case folding: Unicode, section 3.13, "identifier caseless
    matching").
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
