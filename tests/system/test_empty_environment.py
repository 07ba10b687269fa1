"""Every command without HOME, TERM, PATH, locale or stdout: it works, or says why in one line."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from subcli.cli import exits
from subcli.cli.app import app
from tests.hang import HANG_S

from .command import SUBCLI, Commands
from .conftest import SOLUTIONS
from .scripted import LOG, Answer, Request, Rest, finish, scripted

GOOD = str(SOLUTIONS / "passing.py")
SERVING = ("serve", "--port", "0", "--data-dir", "data", "--stop-with-stdin")

# command: what follows it
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "submit": (GOOD, "--problem", "election"),
    "watch": ("1",),
    "status": ("1",),
    "list": (),
    "cancel": ("1",),
    "open": ("1",),
    "share": ("1",),
    "rejudge": ("1",),
    "results": ("election",),
    "source": ("1",),
    "problems": (),
    "problems list": (),
    "problems show": ("election",),
    "problems check": ("nothing-here",),
    "languages": (),
    "init": ("election", "new"),
    "auth login": ("--with-token",),
    "auth logout": (),
    "auth status": (),
    "auth passwd": (),
    "auth token": (),
    "auth token create": ("--name", "ci"),
    "auth token list": (),
    "auth token revoke": ("ci",),
    "doctor": (),
    "serve": SERVING[1:],
    "user add": ("ada", "--data-dir", "data", "--password-stdin"),
    "user import": ("-", "--data-dir", "data"),
    "user group add": ("monday", "ada", "--data-dir", "data"),
    "user group remove": ("monday", "--data-dir", "data"),
    "user group list": ("--data-dir", "data"),
    "user list": ("--data-dir", "data"),
    "user passwd": ("ada", "--data-dir", "data"),
    "user role": ("ada", "teacher", "--data-dir", "data"),
    "user disable": ("ada", "--data-dir", "data"),
    "user enable": ("ada", "--data-dir", "data"),
    "user remove": ("ada", "--data-dir", "data"),
    "db check": ("--data-dir", "data"),
    "db backup": ("backup.db", "--data-dir", "data"),
    "db prune": ("--older-than", "180d", "--data-dir", "data"),
    "db compact": ("--data-dir", "data"),
    "schema": (),
    "completion": ("bash",),
}
AWAY = {"demo", "worker", "test"}
"""A worker needs a database; the demo has an empty environment in `test_path.py`, and `test` judges, as it does."""

ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""A locale without anything else, which Python would otherwise replace."""

REPORTS = ("doctor", "problems check", "auth status")
"""What is wrong is what they print."""

NO_SERVER = ("serve", "user", "db", "schema", "problems check", "completion")
CODES = {*exits.WATCHING, 143}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands of the program that do something, by their words."""
    below = getattr(command, "commands", {})
    if path and (not below or command.invoke_without_command):
        yield path, command
    for name, child in below.items():
        yield from leaves(child, (*path, name))


def rest() -> Rest:
    """A server with one problem and one submission."""
    problem = {"id": 7, "slug": "election", "title": "Election", "languages": ["python"]}
    answers = {
        "/api/problems": [problem],
        "/api/problems/election": {**problem, "description": "# Élection\n"},
        "/api/problems/election/template/python": {"files": {"node.py": "pass\n"}, "submit": ["node.py"]},
        "/api/submissions/1/cancel": {"submission_id": 1, "status": "cancelled", "final_status": "cancelled"},
        "/api/auth/me": {"user": "ada"},
    }

    def first(request: Request) -> Answer | None:
        if request.path in answers:
            return Answer(200, answers[request.path])
        if request.path == "/api/submissions" and request.method == "GET":
            return Answer(200, {"submissions": [{"submission_id": 1, "problem": "élection", "status": "testing"}]})
        return None

    return Rest(log=LOG, first=first)


def test_table_has_every_command() -> None:
    """A new command needs a row in the table above."""
    assert {" ".join(path) for path, _ in leaves(get_command(app))} - AWAY == set(ARGUMENTS)


KINDS = ("nothing", "read-only home", "no stdout")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("kind", "env"),
    [
        pytest.param("nothing", {}, marks=pytest.mark.thorough),
        pytest.param(
            "read-only home",
            {
                "HOME": "/proc",
                "XDG_CONFIG_HOME": "/proc/x",
                "LC_ALL": "C",
                "PYTHONCOERCECLOCALE": "0",
                "PYTHONUTF8": "0",
            },
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            "no stdout", {"HOME": "/proc", "LC_ALL": "xx_XX.nothing", "TERM": "nothing"}, marks=pytest.mark.thorough
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_every_command(command: Commands, kind: str, env: dict[str, str]) -> None:
    """No internal error and no traceback; any failure has a message and a hint."""
    gate = asyncio.Semaphore(4)
    nowhere = command.cwd / "no" / "home"
    env = {name: value.replace("/nowhere", str(nowhere)) for name, value in env.items()}

    async def one(words: str, server: str) -> None:
        place = command.cwd / words.replace(" ", "-")
        place.mkdir()
        at = () if words.startswith(NO_SERVER) else ("--server", server)
        async with gate:
            process = await asyncio.create_subprocess_exec(
                *SUBCLI,
                *words.split(),
                *ARGUMENTS[words],
                *at,
                env=env,
                cwd=place,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                preexec_fn=(lambda: os.close(1)) if kind == "no stdout" else None,
            )
            try:
                out, err = await asyncio.wait_for(process.communicate(), HANG_S)
            finally:
                if process.returncode is None:
                    process.kill()
        command.printed += [out.decode(), err.decode()]
        told = f"{kind}, {words}: {process.returncode} {out.decode()} {err.decode()}"
        assert process.returncode in CODES - {3}, told
        assert b"Traceback" not in out + err, told
        if process.returncode not in (0, 1):
            lines = [line for line in err.decode().splitlines() if not line.startswith("warning: ")]
            is_report = words in REPORTS and (out or kind == "no stdout")
            assert is_report or re.fullmatch(r"error: .+\nhint:  .+", "\n".join(lines)), told
        elif kind != "no stdout":
            # An empty list of users is imported: there is no password to print.
            assert out or words in ("auth login", "user import"), told

    # A third of the commands in each of the three environments; `make soak` tries all in all.
    tried = ARGUMENTS if os.environ.get("SUBCLI_FUZZ") else list(ARGUMENTS)[KINDS.index(kind) :: len(KINDS)]
    async with scripted(finish, rest=rest()) as server:
        ends = await asyncio.gather(*(one(words, server.url) for words in tried), return_exceptions=True)
    failures = [end for end in ends if isinstance(end, Exception)]
    if failures:
        raise ExceptionGroup("in an empty environment", failures)
    assert not [path for path in (nowhere, Path("/proc/x")) if path.exists()]


# -- help -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path, _ in leaves(get_command(app))], ids=" ".join)
def test_help_has_an_example_and_exit_codes(path: tuple[str, ...]) -> None:
    """Each command's help shows a command line that begins like the command, and the codes that it can end with."""
    found = dict(leaves(get_command(app)))[path]
    example, _, codes = found.epilog.partition("Exit codes: ")
    assert "Example:" in example
    assert f"subcli {' '.join(path)}" in example
    assert codes.endswith("; `man subcli-exit-codes` explains them.")
    told = set(exits.from_ranges(codes.partition(";")[0]))
    assert {0, 2, 3} <= told <= CODES
    assert found.help
    options = [option for option in found.params if option.param_type_name == "option" and not option.hidden]
    assert all(option.help for option in options)
