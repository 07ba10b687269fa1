"""What a command loads: nothing that it does not need. Most of a short command's time is importing.

Python itself tells: with PYTHONPROFILEIMPORTTIME it names every module that the process imported, whenever it did.
"""

from __future__ import annotations

import asyncio
import sys

import pytest

from .command import Commands, Done
from .scripted import finish, scripted

NEVER = {"click", "pygments", "pydantic", "keyring", "fastapi", "uvicorn", "starlette", "sqlalchemy", "pytest", "redis"}
"""For no command of the client, where no login is on record."""

NEVER_OURS = {"subcli.server", "subcli.judge"}
TALKING = {"asyncio", "ssl", "httpx", "httpcore", "websockets", "anyio", "logging", "subcli.client", "subcli.session"}
DRAWING = {"rich", "subcli.output.live", "subcli.output.plain", "subcli.output.frame", "subcli.output.tables"}


def imported(errors: str) -> set[str]:
    """The modules that were named on stderr, and their packages."""
    names = {line.rpartition("|")[2].strip() for line in errors.splitlines() if line.startswith("import time:")}
    return {".".join(parts[:end]) for name in names for parts in [name.split(".")] for end in range(1, len(parts) + 1)}


async def profiled(command: Commands, *arguments: str, **env: str) -> tuple[Done, set[str]]:
    """Run a command; how it ended, and what it imported."""
    done = await command(*arguments, env={"PYTHONPROFILEIMPORTTIME": "1", **env})
    return done, imported(done.err)


async def test_version_loads_nothing(command: Commands) -> None:
    """`--version` is answered by the interpreter, this package and nothing else."""
    done, modules = await profiled(command, "--version")
    assert done.out.startswith("subcli ")
    # What `-m` brings; the installed script has no need of it.
    bare = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-c", "import runpy, importlib.util"), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await bare.communicate()
    assert modules - imported(errors.decode()) == {"__future__", "gc", "subcli"}


@pytest.mark.parametrize("arguments", [["--help"], ["watch", "--help"]], ids=["all", "of a command"])
async def test_help_talks_to_nobody(command: Commands, arguments: list[str]) -> None:
    """`--help` needs no network and no screen."""
    _, modules = await profiled(command, *arguments)
    assert "subcli.cli.app" in modules
    assert not modules & (NEVER | NEVER_OURS | TALKING | DRAWING)


async def test_completion_loads_less_than_help(command: Commands) -> None:
    """Names at TAB come without the command tree, and without anything that talks, draws or decodes."""
    done, modules = await profiled(command, "__complete", "profiles", "subcli", "watch", "--profile")
    assert done.code == 0
    assert "subcli.cli.candidates" in modules
    assert not modules & (NEVER | NEVER_OURS | TALKING | DRAWING | {"typer", "msgspec", "subcli.cli.app"})


async def test_json_draws_nothing(command: Commands) -> None:
    """`watch --json` loads no screen, none of the server half, and none of httpx's own command line."""
    async with scripted(finish) as server:
        done, modules = await profiled(command, "watch", "1", "--json", "--server", server.url)
    assert (done.code, done.last["type"]) == (0, "result")
    assert {"httpx", "websockets"} <= modules
    assert not modules & (NEVER | NEVER_OURS | DRAWING)
