"""What a person types next: the hints of the whole program can be pasted as they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.hang import HANG_S
from tests.system.command import Commands
from tests.system.scripted import Rest, Wire, closing, finish, scripted


def write_profile(env: dict[str, str], url: str) -> None:
    """A profile ``work`` for the server at ``url``."""
    settings = Path(env["HOME"]) / ".config/subcli/config.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'[profiles.work]\nserver = "{url}"\n')


@pytest.mark.parametrize("how", ["--plain", "--json", "--quiet"])
async def test_watch_names_number_and_profile(command: Commands, env: dict[str, str], how: str) -> None:
    """A watch without a verdict says how to resume it."""
    async with scripted(closing(4029, "retry_after=0")) as server:
        write_profile(env, server.url)
        done = await command("watch", "1", "--profile", "work", how, "--max-attempts", "0")
    assert "`subcli watch 1 --profile work`" in done.out + done.err
    assert " ID" not in done.out + done.err


async def test_errors_keep_the_profile(command: Commands, env: dict[str, str], tmp_path: Path) -> None:
    """So do the errors of commands that make one request, and the usage errors before any."""
    (tmp_path / "node.py").write_text("print()")
    async with scripted(rest=Rest(snapshot=None)) as server:
        write_profile(env, server.url)
        bad_id = await command("status", "x", "--profile", "work")
        no_problem = await command("submit", "node.py", "--profile", "work")
    assert "`subcli list --profile work`" in bad_id.err
    assert "`subcli problems --profile work`" in no_problem.err, no_problem


@pytest.mark.thorough(measured=True)
async def test_number_sign(command: Commands) -> None:
    """`#N` goes wherever an id goes, as every line of ours writes it."""
    rest = Rest(snapshot={"submission_id": 1, "status": "testing", "final_status": None})
    async with scripted(finish, rest=rest) as server:
        at = ("--server", server.url)
        assert (await command("watch", "#1", "--plain", *at)).code == 0
        assert (await command("status", "#1", "-q", *at)).out == "testing\n"
        assert (await command("open", "#1", "-q", *at)).out == f"{server.url}/submissions/1\n"
        await command("cancel", "#1", *at)
        assert server.asked("POST", "/api/submissions/1/cancel")


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["--plain", "--json"])
async def test_watch_says_what_it_waits_for(command: Commands, how: str) -> None:
    """A server that accepts the connection and never answers the handshake, as for the other commands."""
    async with scripted(silent, rest=Rest()) as server:
        process = await command.start("watch", "1", how, "--server", server.url)
        async with asyncio.timeout(HANG_S):
            assert process.stderr is not None
            said = (await process.stderr.readline()).decode()
            process.terminate()
            await process.communicate()
    assert said == f"waiting for 127.0.0.1:{server.port} to answer …\n"


async def silent(wire: Wire) -> None:
    """Read what comes and say nothing."""
    await wire.reader.read()
