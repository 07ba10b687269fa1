"""The README, tried as a new user would: every command in it, in order, on terminals of a machine of its own.

The machine is a network namespace in which port 8000 is free, with an empty home. What cannot be done there is said in
``NOT_RUN`` and ``INSTEAD``.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from subcli.judge.sandbox.probe import probe
from subcli.settings.config import load
from subcli.settings.files import PROJECT_FILE

from .conftest import SOLUTIONS, needs
from .shell import Shell

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PASSING = SOLUTIONS.parents[1] / "lru-cache/solutions/passing.py"
PASSWORD = "correct-horse-battery"

NOT_RUN = {"pipx install 'subcli-watch[server]'"}
"""There is no index here. The names are looked up below, and .ci/run installs the wheel."""

INSTEAD = {"subcli auth login": "subcli auth login --user ada --insecure-storage"}
"""There is no keyring here."""

ASKED = {"subcli user add ada": ("Password for ada:", "Once more:"), INSTEAD["subcli auth login"]: ("Password:",)}
"""What these ask for."""

NOT_PASSED = {"subcli test", "subcli submit", *(f"subcli watch 1 {more}" for more in ("2", "--timeout 300", "--logs"))}
"""These say that they exit 1: the first submission is the template."""


def blocks() -> list[tuple[str, str]]:
    """The language and the text of every block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """What is to be typed, and the Python example as a command."""
    found = []
    for language, text in blocks():
        if language == "console":
            assert all(line.startswith("$ ") for line in text.splitlines()), text
            found += [line.removeprefix("$ ") for line in text.splitlines()]
        elif language == "python":
            found.append("python example.py")
        else:
            assert language == "toml", "what nobody checks has no place in the README"
    return found


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[list[str]]:
    """The words before a command that put it onto the machine."""
    needs("unshare", shutil.which("unshare"))
    root = os.geteuid() == 0
    up = "ip link set lo up && echo up && exec sleep 600"
    words = ["unshare", *([] if root else ["--map-root-user"]), "--net", "sh", "-c", up]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as machine:
        assert machine.stdout is not None
        needs("the right to make a network namespace", machine.stdout.readline() == "up\n")
        user = [] if root else ["--user", "--preserve-credentials"]
        yield ["nsenter", "--target", str(machine.pid), *user, "--net"]
        machine.kill()


def _ends_with(question: str, shell: Shell) -> bool:
    """Whether the shell has printed a question and waits."""
    return shell.line.endswith(question)


class Terminal:
    """A bash that says in its prompt how many commands there were, and how the last one ended."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self._prompt(1)

    def _prompt(self, number: int) -> int:
        pattern = re.compile(rf"\[{number}:(\d+)\]\$$")
        self.number = number
        self.shell.until(lambda shell: bool(pattern.search(shell.line)), 120)
        found = pattern.search(self.shell.line)
        assert found is not None
        return int(found[1])

    def begin(self, command: str) -> None:
        """Type it, and do not wait."""
        self.shell.press(f"{command}\r")

    def end(self) -> int:
        """The exit code of what was begun."""
        return self._prompt(self.number + 1)

    def run(self, command: str) -> int:
        """Type it, answer what it asks, and wait for its exit code."""
        self.begin(command)
        for question in ASKED.get(command, ()):
            self.shell.until(functools.partial(_ends_with, question))
            self.shell.press(f"{PASSWORD}\r")
        return self.end()


@pytest.fixture
def start(env: dict[str, str], inside: list[str], tmp_path: Path) -> Iterator[object]:
    """Opens terminals."""
    shells: list[Shell] = []
    kept = {name: env[name] for name in ("HOME", "TERM")}
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin"
    environment = {**kept, "PATH": path, "PS1": "[\\#:$?]$ ", "LC_ALL": "C.UTF-8"}

    def open_one(cwd: Path) -> Terminal:
        shells.append(Shell([*inside, "bash", "--norc", "--noprofile", "-i"], environment, cwd))
        return Terminal(shells[-1])

    yield open_one
    for shell in shells:
        shell.__exit__(None, None, None)


@pytest.mark.long
@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_readme(start: object, tmp_path: Path) -> None:
    """Each command works as printed, or ends as the text says."""
    needs("jq", shutil.which("jq"))
    found = probe(cpus=1.0)
    needs(f"a sandbox that works ({found.reason})", found.starter)
    assert callable(start)
    typed = commands()
    code = next(text for language, text in blocks() if language == "python")
    (tmp_path / "lru-cache").mkdir()
    (tmp_path / "lru-cache/example.py").write_text(code)
    # It stands for itself, and runs the other one; meanwhile the rest is done.
    demos = {"make demo", "subcli demo"}
    assert demos <= set(typed)
    demo = start(ROOT)
    demo.begin("make demo")
    server, mine, served = start(tmp_path), start(tmp_path), 0
    for command in typed:
        if command in demos or command in NOT_RUN:
            continue
        if command.startswith("subcli serve"):
            if served:
                # The other way of serving, on the same port.
                server.shell.press("\x03")
                server.end()
            served += 1
            server.begin(command)
            server.shell.until(lambda shell, times=served: shell.text.count("Ctrl-C stops it") == times)
            continue
        ended = mine.run(INSTEAD.get(command, command))
        assert ended == (1 if command in NOT_PASSED else 0), f"{command}: {ended}\n{mine.shell.text}"
        if command == "subcli submit":
            # Somebody solves it.
            shutil.copy(PASSING, tmp_path / "lru-cache/lru.py")
    assert (tmp_path / "lru-cache/results.xml").is_file()
    assert demo.end() == 0, demo.shell.text
    assert "@$(BIN)/subcli demo\n" in (ROOT / "Makefile").read_text()


def test_install_command() -> None:
    """It names this distribution and an existing extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (installing,) = NOT_RUN
    assert installing in commands()
    name, extra = re.findall(r"'(.*)\[(.*)\]'", installing)[0]
    assert name == project["name"]
    assert extra in project["optional-dependencies"]


def test_order_of_sections() -> None:
    """What it is, a demo, install, submit, watch, CI, settings, running a server."""
    headings = re.findall(r"^## (.*)$", README, re.MULTILINE)
    assert headings[:7] == ["See it", "Install", "Submit", "Watch", "CI", "Settings", "Your own server"]
    assert README.index("docs/live.svg") < README.index("## Install")


def test_settings_are_valid(tmp_path: Path) -> None:
    """Both examples of files are read as they stand, and each profile of the second one can be chosen."""
    project, user = (text for language, text in blocks() if language == "toml")
    (tmp_path / PROJECT_FILE).write_text(project)
    (tmp_path / "config.toml").write_text(user)
    settings = load({}, {}, tmp_path, tmp_path / "config.toml")
    assert (settings.problem, settings.language, settings.files) == ("lru-cache", "python", ("lru.py",))
    servers = {
        load({}, {}, tmp_path, tmp_path / "config.toml", profile=name).api_url for name in ("work", "other-platform")
    }
    assert {settings.api_url, *servers} == {
        "https://judge.example.org/api",
        "https://judge.work.example/api",
        "https://platform.example/api/distributed",
    }
