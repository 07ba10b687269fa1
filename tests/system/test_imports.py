"""A command imports only what it needs, since imports take most of a short command's time."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from subcli import cli
from subcli.cli.app import app
from tests.hang import HANG_S
from tests.unmeasured import UNMEASURED

from .command import Commands, Done
from .scripted import finish, scripted

NEVER = {"click", "pygments", "pydantic", "keyring", "fastapi", "uvicorn", "starlette", "sqlalchemy", "pytest", "redis"}
"""For no command of the client, where no login is on record."""

COMMANDS = {
    ".".join(("subcli.cli", *path.relative_to(cli.__path__[0]).with_suffix("").parts))
    for path in Path(cli.__path__[0]).rglob("*.py")
    if "def register(" in path.read_text()
}
"""The modules of the commands, of which none needs another's but where one is built upon another."""

NEVER_OURS = {"subcli.server", "subcli.judge"}
TALKING = {
    "asyncio",
    "ssl",
    "httpx",
    "httpcore",
    "websockets",
    "anyio",
    "logging",
    "subcli.client.client",
    "subcli.client.session",
}
DRAWING = {
    "rich",
    "subcli.output.live.view",
    "subcli.output.plain",
    "subcli.output.live.frame",
    "subcli.output.pages.tables",
}


NOT_FOR_A_SERVER = {
    *("alembic", "mako", "sqlalchemy.orm", "psycopg", "redis", "cryptography", "keyring", "rich", "pygments", "httpx"),
    *("pytest", "yaml", "pylatexenc", "pydantic.v1", "sqlalchemy.dialects.postgresql", "jinja2", "markdown_it"),
}
"""What a server with a database of its own does not keep in its memory."""

AT_THE_END = """
import atexit, gc, sys

@atexit.register
def tell():
    names = [name for name, module in sys.modules.items() if module is not None]
    sys.stderr.write(f"\\ncollecting {gc.isenabled()}\\n" + "".join(f"imported {name}\\n" for name in names))
"""


def telling(command: Commands) -> dict[str, str]:
    """The environment in which a Python says what it imports, and at its end whether it collects garbage.

    Python itself names on stderr each module, but those that `importlib` was asked for, which are there at the end.
    """
    folder = command.cwd / "tell"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(AT_THE_END)
    path = f"{folder}:{command.env.get('PYTHONPATH', '')}"
    return {**command.env, **UNMEASURED, "PYTHONPATH": path, "PYTHONPROFILEIMPORTTIME": "1"}


def imported(errors: str) -> set[str]:
    """The modules that were named on stderr, and their packages."""
    lines = errors.splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    names |= {line.removeprefix("imported ") for line in lines if line.startswith("imported ")}
    return {".".join(parts[:end]) for name in names for parts in [name.split(".")] for end in range(1, len(parts) + 1)}


async def profiled(command: Commands, *arguments: str) -> tuple[Done, set[str]]:
    """Run a command; how it ended, and what it imported."""
    done = await command(*arguments, env=telling(command))
    return done, imported(done.err)


async def test_version_imports_nothing_else(command: Commands) -> None:
    """`--version` needs only the interpreter and this package."""
    done, modules = await profiled(command, "--version")
    assert done.out.startswith("subcli ")
    # What `-m` brings; the installed script has no need of it.
    bare = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import runpy, importlib.util"),
        env=telling(command),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await bare.communicate()
    assert modules - imported(errors.decode()) == {"__future__", "subcli"}


async def test_help_imports_no_network(command: Commands) -> None:
    """`--help` imports no network, screen or command; a command's help imports that command only."""
    _, modules = await profiled(command, "--help")
    assert "subcli.cli.app" in modules
    assert not modules & (NEVER | NEVER_OURS | TALKING | DRAWING | COMMANDS | {"msgspec", "subcli.cli.common"})
    _, modules = await profiled(command, "watch", "--help")
    assert modules & COMMANDS == {"subcli.cli.commands.watch"}
    assert not modules & (NEVER | NEVER_OURS | TALKING | DRAWING)


def test_command_tree_matches_commands() -> None:
    """The tree describes each command, without importing it, as the command itself does."""
    found: dict[str, str] = {}
    for name in COMMANDS:
        part = typer.Typer()
        import_module(name).register(part)
        found |= {each: command.help or "" for each, command in typer.main.get_group(part).commands.items()}
    tree = typer.main.get_group(app)
    summaries = dict(line.split(maxsplit=1) for line in help_of(tree).partition("Commands:\n")[2].splitlines())
    assert set(tree.commands) == found.keys()
    for name, text in found.items():
        assert tree.commands[name].help == text
        assert summaries[name] == text


def help_of(tree: typer.core.TyperGroup) -> str:
    """The help without what stands below the commands, on a page that is wide enough."""
    context = typer.Context(tree, terminal_width=200, max_content_width=200)
    formatter = context.make_formatter()
    tree.format_commands(context, formatter)
    return formatter.getvalue()


async def test_completion_imports_less_than_help(command: Commands) -> None:
    """Neither the command tree nor network or screen libraries."""
    done, modules = await profiled(command, "__complete", "profiles", "subcli", "watch", "--profile")
    assert done.code == 0
    assert "subcli.cli.completion.candidates" in modules
    # Settings, which tell the server, come by the one way that there is: msgspec and logging with them.
    assert not modules & (NEVER | NEVER_OURS | TALKING - {"logging"} | DRAWING | {"typer", "subcli.cli.app"})


@pytest.mark.thorough
async def test_json_draws_nothing(command: Commands) -> None:
    """With `--json` no screen is loaded, none of the server half, no TOML where there are no settings, no other
    command, and none of httpx's own command line."""
    (command.cwd / "a.py").write_text("x = 1\n")
    for words, needed in (
        (("watch", "1"), {"subcli.cli.commands.watch"}),
        (("submit", "a.py", "--problem", "7"), {"subcli.cli.commands.submit"}),
    ):
        async with scripted(finish) as server:
            done, modules = await profiled(command, *words, "--json", "--server", server.url)
        assert (done.code, done.last["type"]) == (0, "result")
        assert {"httpx", "websockets"} <= modules
        assert modules & COMMANDS == needed
        assert not modules & (NEVER | NEVER_OURS | DRAWING | {"tomllib", "subcli.workspace.repository"})


@pytest.mark.thorough
async def test_garbage_collector_runs_while_watching(command: Commands) -> None:
    """It is off during start-up and on while a command may run for days."""
    env = telling(command)
    assert "collecting False" in (await command("--help", env=env)).err
    async with scripted(finish) as server:
        assert "collecting True" in (await command("watch", "1", "-q", "--server", server.url, env=env)).err
    serving = await command.start(
        *("serve", "--port", "0", "--data-dir", str(command.cwd / "data"), "--stop-with-stdin"),
        env=env,
        stdin=asyncio.subprocess.PIPE,
    )
    assert serving.stdout is not None
    assert serving.stdin is not None
    await serving.stdout.readline()
    serving.stdin.close()
    _, errors = await asyncio.wait_for(serving.communicate(), HANG_S)
    assert b"collecting True" in errors


@pytest.mark.thorough
async def test_server_imports_only_what_it_uses(command: Commands) -> None:
    """With logins, on a new database: what it imports stays in memory for as long as it runs."""
    serving = await command.start(
        *("serve", "--auth", "--sandbox", "none", "--port", "0", "--stop-with-stdin"),
        *("--data-dir", str(command.cwd / "data")),
        env=telling(command),
        stdin=asyncio.subprocess.PIPE,
    )
    assert serving.stdout is not None
    assert serving.stdin is not None
    await serving.stdout.readline()
    serving.stdin.close()
    _, errors = await asyncio.wait_for(serving.communicate(), HANG_S)
    # Of those it has tried to import, some are not there for it.
    modules = imported("".join(line for line in errors.decode().splitlines(keepends=True) if "|" not in line))
    assert {"subcli.server.app", "subcli.server.accounts.tokens"} <= modules
    assert modules & NOT_FOR_A_SERVER == set()
