"""Access tokens, roles and links, with the installed program and a server with logins."""

from __future__ import annotations

import functools
import json
import re
import shutil
import termios
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from subcli.server.accounts.machine_tokens import MachineTokens
from subcli.server.accounts.passwords import Passwords
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.users import Users
from subcli.server.log.database import open_database
from subcli.server.settings import PasswordCost, ServerLimits
from subcli.shared.opaque_token import is_well_formed
from tests.hang import HANG_S

from .browser import CHROMIUM, ENDED, Page, chromium
from .command import Commands
from .conftest import LRU, SOLUTIONS, Run, Served, needs
from .terminal import Terminal, until

DAY_S = 86_400
PASSWORD = "correct-horse-battery"
CI = Path(__file__).parents[2] / "docs" / "ci.md"
Serve = Callable[..., Served]


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A tab that must not complain."""
    needs("chromium", CHROMIUM)
    async with chromium(tmp_path) as page:
        yield page
        assert page.complaints == []


@pytest.fixture
def guarded(serve: Serve) -> Served:
    """A server with logins, the student ada and the teacher eve."""
    server = serve("--auth", "--sandbox", "none")
    with_database(server, add_users)
    return server


def with_database(server: Served, change: Callable[[Engine], object]) -> object:
    engine = open_database(f"sqlite:///{server.data_dir / 'subcli.db'}")
    try:
        return change(engine)
    finally:
        engine.dispose()


def add_users(engine: Engine) -> None:
    hashed = Passwords(PasswordCost(passes=1, memory_kib=8, lanes=1)).hash(PASSWORD)
    users = Users(engine, time.time)
    users.add("ada", hashed)
    users.add("eve", hashed, Role.TEACHER)


def token_of(server: Served, user: str, *, days_ago: float = 0, scope: str = "submit") -> str:
    """An access token for 90 days, made so many days ago."""

    def create(engine: Engine) -> str:
        tokens = MachineTokens(engine, lambda: time.time() - days_ago * DAY_S, ServerLimits())
        user_id = Users(engine, time.time).id_of(user)
        return tokens.create(user_id, f"t{time.monotonic_ns()}", scope, 90 * DAY_S)[1]

    return str(with_database(server, create))


@pytest.mark.thorough(measured=True)
@pytest.mark.long
def test_ci_with_a_token_that_is_weeks_old(guarded: Served, run: Run, tmp_path: Path) -> None:
    """The first example of docs/ci.md works with it; with one that has expired it exits 4 and says what to do."""
    example = re.findall(r"```sh\n(subcli submit .*?)```", CI.read_text(), re.S)[0].split()
    assert example[:3] == ["subcli", "submit", "node.py"]
    shutil.copy(SOLUTIONS / "passing.py", tmp_path / "node.py")

    def job(days_ago: float, **more: str) -> tuple[int, str]:
        env = {"CI": "true", "SUBCLI_SERVER": guarded.url, "SUBCLI_TOKEN": "", **more}
        if not more:
            env["SUBCLI_TOKEN"] = token_of(guarded, "ada", days_ago=days_ago)
        done = run(*example[1:], cwd=tmp_path, env=env)
        return done.returncode, done.stdout + done.stderr

    code, printed = job(45)
    assert code == 0, printed
    assert (tmp_path / "results.xml").is_file()
    code, printed = job(91)
    assert code == 4, printed
    assert "this access token has expired; create another with `subcli auth token create`" in printed
    reading = token_of(guarded, "ada", scope="read")
    (tmp_path / "token.txt").write_text(reading)
    code, printed = job(0, SUBCLI_TOKEN_FILE=str(tmp_path / "token.txt"))
    assert code == 4, printed
    assert "may only read" in printed


@pytest.mark.thorough
def test_teacher_lists_and_reads(guarded: Served, run: Run, tmp_path: Path) -> None:
    """Everybody's submissions, with their users; a student is refused, and sees none of them."""
    ada, eve = ({"SUBCLI_TOKEN": token_of(guarded, name)} for name in ("ada", "eve"))
    at = ("--server", guarded.url)
    done = run("submit", str(LRU), "--problem", "lru-cache", "--no-watch", "-q", *at, env=ada)
    assert done.returncode == 0, done
    number = done.stdout.strip()
    for option in (("--all",), ("--user", "Ada"), ("--user", "Ada", "--all")):
        rows = json.loads(run("list", *option, "--json", *at, env=eve).stdout)["submissions"]
        assert [(row["submission_id"], row["user"]) for row in rows] == [(int(number), "ada")]
    assert "ada" in run("list", "--all", *at, env=eve).stdout
    assert run("status", number, *at, env=eve).returncode == 0
    for words, code in (
        (("list", "--all"), 4),
        (("list", "--user", "eve"), 4),
        (("list", "--user", "ada"), 0),
    ):
        assert run(*words, *at, env=ada).returncode == code, words
    assert run("cancel", number, *at, env=eve).returncode in (4, 6)


async def login(server: Served, user: str, password: str = PASSWORD) -> httpx.Response:
    fields = {"grant_type": "password", "username": user, "password": password}
    async with httpx.AsyncClient(trust_env=False, timeout=HANG_S) as http:
        return await http.post(f"{server.url}/api/auth/token", data=fields)


@pytest.mark.thorough(measured=True)
async def test_changing_ones_password(guarded: Served, command: Commands) -> None:
    """The old one is asked first, the new one twice, after it was checked; from then on the new one is valid."""
    command.env["SUBCLI_TOKEN"] = (await login(guarded, "ada")).json()["access_token"]
    other = "another-horse-battery"
    for answers, code in (
        ([PASSWORD, "hasty"], 2),
        ([PASSWORD, other, PASSWORD], 2),
        (["wrong", other, other], 4),
        ([PASSWORD, other, other], 0),
    ):
        async with Terminal(command, "auth", "passwd", "--server", guarded.url) as terminal:
            for question, text in zip(("Old password: ", "New password: ", "Once more: "), answers, strict=False):
                await until(functools.partial(asked, terminal, question))
                terminal.press(f"{text}\r".encode())
            assert await terminal.process.wait() == code, terminal.text
            assert other.encode() not in terminal.raw
    assert [(await login(guarded, "ada", word)).status_code for word in (PASSWORD, other)] == [401, 200]


def asked(terminal: Terminal, question: str) -> bool:
    """Whether the terminal shows a question and hides what is typed."""
    return question.strip() in terminal.text and not terminal.after[3] & termios.ECHO


@pytest.mark.thorough(measured=True)
async def test_what_needs_a_terminal(guarded: Served, command: Commands) -> None:
    """Without one, `auth passwd` asks nothing; an access token cannot change a password."""
    done = await command("auth", "passwd", "--server", guarded.url)
    assert done.code == 2
    assert "No terminal" in done.err


@pytest.mark.thorough
async def test_tokens_on_the_command_line(guarded: Served, command: Commands) -> None:
    """Created, listed, used and revoked; the token itself is all of stdout."""
    command.env["SUBCLI_TOKEN"] = (await login(guarded, "ada")).json()["access_token"]
    at = ("--server", guarded.url)
    made = await command("auth", "token", "create", "--name", "ci", "--scope", "read", "--expires", "12h", *at)
    assert made.code == 0, made
    assert is_well_formed(made.out.strip())
    assert "scope read" in made.err
    for words, told in (
        (("--name", "ci"), "have an access token named ci"),
        (("--name", "x", "--expires", "2y"), "not a valid time"),
        (("--name", "x", "--expires", "53w"), "366d"),
        (("--name", "a b"), "name:"),
    ):
        refused = await command("auth", "token", "create", *words, *at)
        assert refused.code == 2, refused
        assert told in refused.err
    listed = await command("auth", "token", "list", *at)
    assert re.search(r"ci +read +20..-..-.. +never", listed.out), listed
    for name, code in (("ci", 0), ("ci", 5)):
        assert (await command("auth", "token", "revoke", name, *at)).code == code


@pytest.mark.thorough
async def test_link_to_a_page(guarded: Served, command: Commands, page: Page) -> None:
    """Whoever has it sees the page live, and it is sent to nobody; once it is revoked, the page says so."""
    command.env["SUBCLI_TOKEN"] = (await login(guarded, "ada")).json()["access_token"]
    at = ("--server", guarded.url)
    await command("submit", str(LRU), "--problem", "lru-cache", "-q", *at)
    only = await command("open", "1", *at)
    assert "Only you and teachers can see the page" in only.err
    shared = await command("share", "1", *at)
    url = shared.out.strip()
    assert url.startswith(f"{guarded.url}/submissions/1#link=")
    assert "nothing else, until 20" in shared.err
    assert "whoever has its link" in (await command("open", "1", *at)).err
    await page.open(url)
    await page.until(ENDED, 60)
    assert "9 of 9 tests passed" in await page.text()
    sent = await page.run("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not [name for name in sent if "subcli_link_" in name]
    assert (await command("share", "1", "--revoke", *at)).out.startswith("1 link has ended")
    await page.open(f"{guarded.url}/docs")
    await page.open(url)
    await page.until("document.body.innerText.includes('This link has expired or was revoked')")


@pytest.mark.thorough(measured=True)
async def test_sharing_in_demo_mode(server: Served, command: Commands) -> None:
    """There is nothing to be shared: the address, and who can open it."""
    at = ("--server", server.url)
    await command("submit", str(LRU), "--problem", "lru-cache", "--no-watch", *at)
    shared = await command("share", *at)
    assert shared.out == f"{server.url}/submissions/1\n"
    assert "demo mode" in shared.err
    for words in (("share", "1", "--revoke"), ("auth", "token", "list"), ("list", "--all")):
        refused = await command(*words, *at)
        assert refused.code == 6, refused
        assert "demo mode" in refused.err
