"""Authentication with the installed program: a server with accounts, a keyring, a terminal with prompts."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import httpx
import jsonschema
import pytest

from tests.hang import HANG_S
from tests.once import once

from .command import SUBCLI, Commands
from .conftest import PRINTED, SOLUTIONS, Run, Served, waiting_problem
from .terminal import Terminal, until
from .timing import Ending

SCHEMA = jsonschema.Draft202012Validator(json.loads(files("subcli").joinpath("schema.json").read_text()))
KEYRINGS = Path(__file__).parents[1] / "client"
PASSWORD = "canary-passw0rd-of-ada"
SECONDS = 30 if os.environ.get("SUBCLI_TEST_ALL") else 12
"""How long the slow problem is judged."""
TOO_LONG = 50
"""How long the other one is judged, unless the test has seen enough."""


@pytest.fixture
def env(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """No token in a variable; a keyring that works and that all processes share."""
    del env["SUBCLI_TOKEN"]
    return {
        **env,
        "PYTHONPATH": str(KEYRINGS),
        "PYTHON_KEYRING_BACKEND": "keyrings.FileKeyring",
        "SUBCLI_TEST_KEYRING": str(tmp_path / "planted"),
    }


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    """Two problems whose tests take a second each."""
    waiting_problem("slow", tmp_path, SECONDS)
    return waiting_problem("long", tmp_path, TOO_LONG)


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a server with the users ada and bob, made once as an operator makes them."""

    def make(home: Path) -> None:
        env = {"HOME": str(home), "PATH": os.environ["PATH"]}
        for name in ("ada", "bob"):
            words = [*SUBCLI, "user", "add", name, "--password-stdin", "--data-dir", str(home / "data")]
            subprocess.run(words, input=PASSWORD, text=True, check=True, capture_output=True, env=env)

    return once(tmp_path_factory, "accounts", make)[0] / "data"


@pytest.fixture
def judge(serve: Callable[..., Served], accounts: Path, tmp_path: Path, problems: Path) -> Served:
    """A server with accounts; access tokens live for five seconds."""
    shutil.copytree(accounts, tmp_path / "data0")
    return serve("--auth", "--sandbox", "none", "--access-token-seconds", "5", "--problems", str(problems))


async def log_in(command: Commands, judge: Served, user: str, *options: str) -> str:
    """Log in on a terminal, as a person does; gives back what the screen said."""
    async with Terminal(command, "auth", "login", "--server", judge.url, "--user", user, *options) as terminal:
        await terminal.until(lambda text: "Password:" in text)
        terminal.press(f"{PASSWORD}\r".encode())
        # The last question, unless there is none.
        await terminal.until(lambda text: "(empty: do not save)" in text or terminal.process.returncode is not None)
        if "(empty: do not save)" in terminal.text:
            terminal.press(b"\r")
        assert await terminal.end() == 0, terminal.text
        return terminal.text


@pytest.mark.thorough(measured=True)
async def test_login_status_logout(command: Commands, judge: Served, tmp_path: Path) -> None:
    """A user logs in, checks the status, prints the token and logs out; the password is never shown."""
    at = ("--server", judge.url)
    before = await command("auth", "status", *at)
    assert before.code == 4
    assert (await command("list", *at)).code == 4
    said = await log_in(command, judge, "ada")
    assert "Logged in to" in said
    assert "as ada" in said
    assert "test keyring" in said
    status = await command("auth", "status", "--json", *at)
    assert status.code == 0
    SCHEMA.validate(json.loads(status.out))
    told = json.loads(status.out)["auth"]
    assert (told["user"], told["source"], told["valid"]) == ("ada", "keyring", True)
    assert told["expires_at"] > "2026"
    assert (await command("list", *at)).code == 0
    token = (await command("auth", "token", *at)).out.strip()
    PRINTED.clear()  # that command is meant to print it
    shadowed = await command("auth", "status", "--json", *at, env={"SUBCLI_TOKEN": token})
    assert json.loads(shadowed.out)["auth"]["source"] == "SUBCLI_TOKEN"
    assert json.loads(shadowed.out)["auth"]["shadowed_login"] is True
    assert (await command("auth", "logout", *at)).code == 0
    assert json.loads((tmp_path / "planted").read_text()) == {}
    assert (await command("list", *at)).code == 4
    assert not [text for text in PRINTED if PASSWORD in text or token in text]


@pytest.mark.thorough
@pytest.mark.long
async def test_watch_renews_expiring_token(command: Commands, judge: Served, problems: Path) -> None:
    """With tokens that live five seconds, each event is shown once up to the verdict, without a prompt."""
    await log_in(command, judge, "ada")
    source = str(problems / "slow" / "a.py")
    done = await command("submit", source, "--problem", "slow", "--json", "--server", judge.url)
    assert done.code == 0, done.err
    assert done.seqs == list(range(1, len(done.seqs) + 1))
    assert len(done.of("test_result")) == SECONDS
    assert done.states().count("open") >= 2
    # Renewing is silent and at once: no backoff, and nobody is told to wait.
    assert max(line.get("delay_s", 0) for line in done.of("connection")) < 0.5
    assert done.err == ""


@pytest.mark.thorough
async def test_ten_processes_renew_token_at_once(command: Commands, judge: Served) -> None:
    """All ten continue after the access token expires, and so does the next process."""
    await log_in(command, judge, "ada")
    await asyncio.sleep(6)
    at = ("--server", judge.url)
    ended = await asyncio.gather(*(command("list", "--json", *at) for _ in range(10)))
    assert [done.code for done in ended] == [0] * 10, [done.err + done.out for done in ended if done.code]
    assert (await command("auth", "status", *at)).code == 0


@pytest.mark.thorough
async def test_foreign_submission_looks_absent(command: Commands, judge: Served, run: Run) -> None:
    """User B gets the same answer for A's submission as for one that does not exist."""
    at = ("--server", judge.url)
    await log_in(command, judge, "ada")
    mine = await command("submit", str(SOLUTIONS / "broken.py"), "--problem", "leader-election", "-q", *at)
    assert (mine.code, mine.out) == (1, "build_failed\n")
    await log_in(command, judge, "bob")
    for words in (["status"], ["watch"]):
        foreign, absent = [await command(*words, number, "--json", *at) for number in ("1", "999")]
        assert foreign.code == absent.code == 5
        assert foreign.last["error"] == {**absent.last["error"], "message": foreign.last["error"]["message"]}
        assert foreign.last["error"]["message"].replace("1", "999") == absent.last["error"]["message"]
    assert json.loads((await command("list", "--json", *at)).out)["submissions"] == []


@pytest.mark.thorough
async def test_wrong_password(command: Commands, judge: Served, tmp_path: Path) -> None:
    """Exit 4, and nothing is stored."""
    async with Terminal(command, "auth", "login", "--server", judge.url, "--user", "ada") as terminal:
        await terminal.until(lambda text: "Password:" in text)
        terminal.press(b"wrong\r")
        assert await terminal.end() == 4
        assert "Not logged in" in terminal.text
        assert "wrong" not in terminal.text.replace("wrong password", "").replace("is wrong", "")
    assert not (tmp_path / "home/.config/subcli/logins.json").exists()


@pytest.mark.thorough
async def test_ctrl_c_at_password_prompt(command: Commands, judge: Served) -> None:
    """The command ends immediately, and the terminal echoes again."""
    async with Terminal(command, "auth", "login", "--server", judge.url, "--user", "ada") as terminal:
        await terminal.until(lambda text: "Password:" in text)
        ending = Ending(terminal.process.pid)
        terminal.press(b"\x03")
        assert await terminal.end() == 130
        assert await ending.took_s() < 2
        assert terminal.after == terminal.before
        assert "\nerror: Interrupted." in terminal.text


def latest_second(text: str) -> int:
    """The last test of such a problem that can be seen."""
    return max((int(number) for number in re.findall(r"second (\d+)", text)), default=0)


@pytest.mark.thorough
@pytest.mark.long
async def test_prompt_during_watch(command: Commands, judge: Served, problems: Path, tmp_path: Path) -> None:
    """If the login was ended elsewhere, the screen pauses for one prompt and the watch continues."""
    await log_in(command, judge, "ada")
    source = str(problems / "long" / "a.py")
    async with Terminal(command, "submit", source, "--problem", "long", "--server", judge.url) as terminal:
        await terminal.until(lambda text: "second 1" in text)
        # Another machine logs this login out, when a token was just got and the socket is open with it.
        before = (tmp_path / "planted").read_text()
        await until(lambda: (tmp_path / "planted").read_text() != before)
        shown = latest_second(terminal.text)
        await terminal.until(lambda text: latest_second(text) > shown)
        [entry] = json.loads((tmp_path / "planted").read_text()).values()
        async with httpx.AsyncClient(base_url=judge.url, timeout=HANG_S) as elsewhere:
            ended = await elsewhere.post("/api/auth/logout", json={"refresh_token": json.loads(entry)["refresh"]})
        assert ended.status_code == 200
        await terminal.until(lambda text: "User:" in text)
        terminal.press(b"ada\r")
        await terminal.until(lambda text: "Password:" in text)
        # The prompt has cleared the screen; what was shown before comes back first.
        asked = latest_second(terminal.raw.decode(errors="replace"))
        terminal.press(f"{PASSWORD}\r".encode())
        await terminal.until(lambda text: latest_second(text) > asked)
        (tmp_path / "enough").touch()
        assert await terminal.end() == 0, terminal.text
        assert f"{TOO_LONG} of {TOO_LONG}" in terminal.text
    assert PASSWORD not in terminal.raw.decode(errors="replace")


@pytest.mark.thorough
async def test_no_prompt_without_terminal(command: Commands, judge: Served) -> None:
    """Without a terminal, or with --no-input: exit 4 and the command to type."""
    refused = await command("watch", "1", "--server", judge.url, "--json")
    assert refused.code == 4
    assert f"subcli auth login --server {judge.url}" in refused.last["error"]["hint"]
    async with Terminal(command, "list", "--no-input", "--server", judge.url) as terminal:
        assert await terminal.end() == 4
        assert "subcli auth login" in terminal.text


@pytest.mark.thorough
async def test_insecure_storage_and_token_login(command: Commands, judge: Served, tmp_path: Path, run: Run) -> None:
    """`--insecure-storage` keeps the login in a 0600 file; `--with-token` takes a token and verifies it first."""
    at = ("--server", judge.url)
    said = await log_in(command, judge, "ada", "--insecure-storage")
    file = tmp_path / "home/.config/subcli/credentials.json"
    assert str(file) in said.replace("\n", "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "planted").exists()
    token = (await command("auth", "token", *at)).out.strip()
    PRINTED.clear()
    await command("auth", "logout", *at)
    forged = run("auth", "login", "--with-token", *at, stdin=None, input=f"{token}x\n")
    assert forged.returncode == 4
    ended = run("auth", "login", "--with-token", *at, stdin=None, input="two words\n")
    assert ended.returncode == 2
    file.unlink()


@pytest.mark.thorough
def test_user_commands(run: Run, tmp_path: Path) -> None:
    """Users are added, listed and removed; a name is taken once, and a password is never an argument."""
    data = ("--data-dir", str(tmp_path / "data"))
    assert run("user", "add", "ada", "--password-stdin", *data, stdin=None, input=PASSWORD).returncode == 0
    again = run("user", "add", "ada", "--password-stdin", *data, stdin=None, input=PASSWORD)
    assert again.returncode == 2
    assert "ada" in again.stderr
    assert "ada" in run("user", "list", *data).stdout
    assert run("user", "remove", "ada", *data).returncode == 0
    assert "ada" not in run("user", "list", *data).stdout
    assert run("user", "remove", "ada", *data).returncode == 5


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.parametrize(
    "backend", ["keyrings.HangingKeyring", "keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"]
)
async def test_unusable_keyring(command: Commands, backend: str) -> None:
    """It is detected before any prompt, with a hint, in bounded time."""
    done = await command(
        "auth", "login", "--server", "http://127.0.0.1:9", env={"PYTHON_KEYRING_BACKEND": backend}, limit=50
    )
    assert done.code == 4
    assert "keyring" in done.err
    assert "--insecure-storage" in done.err
    assert done.took < 45


@pytest.mark.thorough
def test_no_secret_in_process_list(judge: Served, run: Run, env: dict[str, str]) -> None:
    """No command accepts a token or a password as an argument."""
    for words in (["auth", "login"], ["submit"], ["watch"], ["user", "add"], ["serve"]):
        text = run(*words, "--help").stdout
        assert "--password " not in text
        assert "--token " not in text
