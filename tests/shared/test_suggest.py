"""What is suggested: a name that was meant, a command to type next."""

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
    """A typing error and a beginning are understood; what is far from everything is not guessed."""
    assert did_you_mean(typed, NAMES) == (f"Did you mean `{meant}`?" if meant else "")


def test_long_words_cost_little() -> None:
    """A word without end is compared by its beginning."""
    assert did_you_mean("x" * 10**6, NAMES) == ""


def test_a_suggested_command_reaches_the_same_server() -> None:
    """As this one named it, by URL, profile or a pasted link; nothing where files and variables decide."""
    assert Common().for_server() == ""
    assert Common(profile="at work").for_server() == " --profile 'at work'"
    assert Common(server="http://a", profile="b").for_server() == " --server http://a --profile b"
    assert Common(profile="b").for_server("http://pasted") == " --server http://pasted"


def test_a_fault_inside_a_command_is_not_taken_for_a_misspelling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command is imported when it is called; what goes wrong then is ours, and not "No such command"."""

    def fail(_app: object) -> None:
        raise KeyError("ours")

    commands = get_group(app).commands
    monkeypatch.setattr("subcli.cli.commands.cancel.register", fail)
    with pytest.raises(KeyError, match="ours"):
        commands.get("cancel")
    assert commands.get("cancle") is None
