"""The environment of every process of these tests, with secrets planted in it that none may give away."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

CANARIES = {
    "token": "canary-Tok3n.that+nobody/may-see",
    "proxy user": "canary-proxy-user",
    "proxy password": "canary-proxy-passw0rd",
}
"""Secrets planted in the environment of every process of this suite; none may turn up in what they write."""

CONFUSING = ("CI", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "GITHUB_ACTIONS")
"""Variables that change what the program prints."""


def environment(home: Path) -> dict[str, str]:
    """Variables for one test: a new home, the canaries, and nothing that changes what the program does."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in CONFUSING and not name.startswith(("SUBCLI_", "XDG_", "PYTEST_")) and "proxy" not in name.lower()
    }
    home.mkdir()
    planted = {
        "SUBCLI_TOKEN": CANARIES["token"],
        # Nothing listens there. This machine is reached without a proxy, so it is never asked.
        "HTTP_PROXY": f"http://{CANARIES['proxy user']}:{CANARIES['proxy password']}@127.0.0.1:9",
    }
    return {**kept, **planted, "HOME": str(home), "TERM": "xterm-256color", "PYTHONUNBUFFERED": ""}


def check_no_canary(printed: Sequence[str], directory: Path) -> None:
    """No planted secret was printed, or written to a file below a directory.

    Raises:
        AssertionError: one was.
    """
    written = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != "planted"}
    for name, secret in CANARIES.items():
        assert not [text for text in printed if secret in text], f"the {name} was printed"
        assert not [path for path, data in written.items() if secret.encode() in data], f"the {name} was written"
