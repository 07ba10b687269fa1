"""What holds for every test of the command line: a home and a directory of its own, and no logging left behind."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.wire import Wire, connect_here


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home, which is also the working directory."""
    for name in list(os.environ):
        if name.startswith(("SUBCLI_", "XDG_")) or name in ("CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """`--debug` sets up logging for a process that ends; ours goes on."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Wire]]:
    """A server in memory, whose answers the test sets."""
    connect_here(monkeypatch)
    yield Wire
    Wire.answers = {}
