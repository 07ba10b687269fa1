"""Approved texts: screens and logs that somebody has looked at and approved.

``SUBCLI_APPROVE=1 pytest tests/output`` writes them again; review the difference before committing it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

APPROVED = Path(__file__).parent / "approved"


@pytest.fixture
def approved() -> Callable[[str, str], None]:
    """Return a function that compares a text with the approved one of that name."""

    def compare(name: str, text: str) -> None:
        path = APPROVED / f"{name}.txt"
        if os.environ.get("SUBCLI_APPROVE"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is not approved yet: SUBCLI_APPROVE=1"
        assert text == path.read_text(encoding="utf-8")

    return compare


def with_colours(text: str) -> str:
    """Return text with readable colours, to approve: ``<31>`` is red (ECMA-48, SGR). Other sequences are left out."""
    text = re.sub(r"\x1b\[([0-9;]*)m", lambda match: f"<{match[1]}>", text)
    text = re.sub(r"\x1b\[[0-9;]*H", "\n", text)
    return re.sub(r"\x1b\[[0-9;?>]*[A-Za-z]|\x1b\].*?(\x07|\x1b\\)|\r", "", text)
