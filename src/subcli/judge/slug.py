"""Slugs from the names of directories."""

from __future__ import annotations

import re
import unicodedata


def slug_from(name: str) -> str:
    """The name as a slug; empty if it has neither Latin letters nor digits."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].rstrip("-")
