"""`demo`: what becomes of a server that does not start. That it starts is shown in the system's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from subcli.cli.commands import demo
from subcli.core.errors import InternalError


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("exec sleep 60", "did not start within 0.5 s"),
        ("exit 3", "did not start."),
        ("""echo '{"type": "error", "error": {"message": "No room."}}'""", "did not start: No room."),
    ],
)
def test_server_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, words: str) -> None:
    """It is not waited for without end, and the error says what to do."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(demo, "START_S", 0.5 if "sleep" in does else 30)
    monkeypatch.setattr(demo, "STOP_S", 0.1)
    with pytest.raises(InternalError) as raised, demo._server(tmp_path):
        raise AssertionError("not reached")
    assert words in raised.value.message
    assert "subcli serve" in raised.value.hint
