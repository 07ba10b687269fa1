"""Asking for a login on the terminal."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from subcli.cli.common import Common
from subcli.cli.prompt import TerminalPrompter, ask_login, prompter_for
from subcli.output.view import NullView
from subcli.shared.secret import Secret
from tests.cli.streams import captured


class Stepping(NullView):
    """Keeps when the terminal is left to the prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def suspend(self) -> None:
        self.steps.append("suspend")

    def resume(self) -> None:
        self.steps.append("resume")


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed where nothing is shown."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt, stream: "correct horse")


def test_nobody_to_ask(tmp_path: Path) -> None:
    """No terminal, or `--no-input`."""
    assert prompter_for(Common(), captured(tmp_path).streams) is None
    assert prompter_for(Common(no_input=True), captured(tmp_path, tty=True).streams) is None
    assert prompter_for(Common(), captured(tmp_path, tty=True).streams) is not None


@pytest.mark.parametrize(
    ("stdin", "user", "name"), [("ada\n", None, "ada"), ("", None, None), ("\n", None, None), ("", "bob", "bob")]
)
def test_ask_login(tmp_path: Path, stdin: str, user: str | None, name: str | None) -> None:
    """A user name that is given is not asked for; an empty one is a no."""
    here = captured(tmp_path, stdin)
    found = ask_login(here.streams, user)
    assert found == ((name, Secret("correct horse")) if name else None)
    assert ("User: " in here.err.getvalue()) is (user is None)


def test_password_that_does_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The input ended at the password."""

    def ended(prompt: str, stream: object) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", ended)
    assert ask_login(captured(tmp_path).streams, "ada") is None


async def test_view_leaves_the_terminal(tmp_path: Path) -> None:
    """While somebody types, and while it is said why that did not help."""
    here = captured(tmp_path, "ada\n")
    prompter = TerminalPrompter(here.streams)
    prompter.view = view = Stepping()
    assert await prompter.ask("http://a.example") == ("ada", Secret("correct horse"))
    prompter.refused("wrong\x1b password")
    assert view.steps == ["suspend", "resume"] * 2
    assert here.err.getvalue() == ("http://a.example requires a login.\nUser: not logged in: wrong^[ password\n")
