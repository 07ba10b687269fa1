"""Suggestions: the name that was probably meant, and the next command to type."""

from __future__ import annotations

import pytest
from typer.main import get_group

from subcli.cli.app import app
from subcli.cli.common import Common
from subcli.shared.suggest import did_you_mean

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
    """Typos and prefixes give a suggestion; a distant name does not."""
    assert did_you_mean(typed, NAMES) == (f"Did you mean `{meant}`?" if meant else "")


def test_long_word_is_compared_by_its_prefix() -> None:
    """An endless word costs little."""
    assert did_you_mean("x" * 10**6, NAMES) == ""


def test_suggested_command_uses_the_same_server() -> None:
    """By URL, profile or pasted link; nothing is added if files and variables decide."""
    assert Common().for_server() == ""
    assert Common(profile="at work").for_server() == " --profile 'at work'"
    assert Common(server="http://a", profile="b").for_server() == " --server http://a --profile b"
    assert Common(profile="b").for_server("http://pasted") == " --server http://pasted"


def test_error_inside_a_command_is_not_reported_as_unknown_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import error in a command is a bug of ours, not "No such command"."""

    def fail(_app: object) -> None:
        raise KeyError("ours")

    commands = get_group(app).commands
    monkeypatch.setattr("subcli.cli.commands.cancel.register", fail)
    with pytest.raises(KeyError, match="ours"):
        commands.get("cancel")
    assert commands.get("cancle") is None
