"""Tokens between servers, files, processes and the screen, where something else would be easier."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import keyring
import pytest

from subcli.client.auth import StoredLogin, TokenRefusedError, password_grant
from subcli.client.client import id_of
from subcli.client.records import Credentials, Tokens
from subcli.core.errors import CredentialError
from subcli.settings.config import load
from subcli.settings.token import secrets_in
from subcli.shared.secret import Secret
from tests.client.keyrings import FileKeyring
from tests.hang import HANG_S
from tests.unmeasured import UNMEASURED

SERVER = "https://judge.example"
PAIR = Tokens(Secret("the-access-token"), Secret("the-refresh-token"))


async def refused(status: int, body: object) -> str:
    """What is said where the server answers a login so."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(TokenRefusedError) as caught:
            await password_grant(http, f"{SERVER}/api", "ada", Secret("hunter2hunter2"))
    return caught.value.reason


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "no hunter2hunter2 here"},
        {"detail": [{"loc": ["body", "x"], "msg": "not so", "input": "hunter2hunter2"}]},
        {"detail": {"given": "hunter2hunter2"}},
    ],
)
async def test_password_that_the_server_repeats(body: object) -> None:
    """FastAPI's list of faults holds what was sent: it is not shown."""
    assert "hunter2" not in await refused(422, body)


@pytest.mark.parametrize("token", ["", "tök", "a\nb", "a b", None, 3])
async def test_token_that_cannot_be_sent(token: object) -> None:
    """It would break in the header of the next request, or in the terminal of `auth token`."""
    assert "no token" in await refused(200, {"access_token": token})


def test_stored_token_that_cannot_be_sent(tmp_path: Path) -> None:
    """Somebody edited the file: log in again."""
    credentials = Credentials(tmp_path)
    credentials.save(SERVER, "ada", Tokens(Secret("tök")), "file")
    with pytest.raises(CredentialError, match="not a subcli login"):
        credentials.load(SERVER)


def test_plaintext_goes_when_the_keyring_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login to the keyring after one with --insecure-storage leaves no token in the file."""
    monkeypatch.setenv("SUBCLI_TEST_KEYRING", str(tmp_path / "keyring.json"))
    before = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    try:
        credentials = Credentials(tmp_path / "config")
        credentials.save(SERVER, "ada", PAIR, "file")
        credentials.save(SERVER, "ada", PAIR, "keyring")
    finally:
        keyring.set_keyring(before)
    assert "the-access-token" not in (tmp_path / "config/credentials.json").read_text()


async def test_logged_out_while_renewing(tmp_path: Path) -> None:
    """A logout in another process at that moment stays one."""
    credentials = Credentials(tmp_path)
    credentials.save(SERVER, "ada", PAIR, "file")

    async def grant(_: Secret) -> Tokens:
        Credentials(tmp_path).delete(SERVER)
        return Tokens(Secret("next"), Secret("next-refresh"))

    login = StoredLogin(credentials, SERVER, PAIR, grant)
    assert (await login.refresh(login.token())).ok
    assert credentials.logins() == {}
    assert "next" not in (tmp_path / "credentials.json").read_text()


_SAVES = """
import os
import sys
from pathlib import Path
import filelock
from subcli.client.records import Credentials, Tokens
from subcli.shared.secret import Secret
begin, beginning = os.pipe()
for number in range(100):
    if os.fork() == 0:
        os.close(beginning)
        os.read(begin, 1)
        Credentials(Path(sys.argv[1])).save(f"https://{number}.example", "u", Tokens(Secret("t")), "file")
        os._exit(0)
os.close(beginning)
sys.exit(any(os.wait()[1] for _ in range(100)))
"""


@pytest.mark.thorough
def test_processes_that_save_at_once(tmp_path: Path) -> None:
    """No login is lost when a hundred are saved at the same moment: all wait for their turn, however long."""
    directory = tmp_path / "config"
    env = {**os.environ, **UNMEASURED}
    subprocess.run([sys.executable, "-c", _SAVES, str(directory)], env=env, check=True, timeout=HANG_S)
    assert len(Credentials(directory).logins()) == 100


def test_very_long_id() -> None:
    """A number of five thousand digits is no id, and no fault of ours."""
    assert id_of({"id": "9" * 5000}) is None
    assert id_of({"id": "12"}) == 12


_STOPPED = """
import asyncio, os, signal
from subcli.cli.runtime import stoppable
from subcli.cli.streams import Streams
def suspend(): print("suspend", flush=True)
def resume(): print("resume", flush=True)
async def main():
    with stoppable(suspend, resume, Streams.of_process()):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTSTP)
            await asyncio.sleep(0.1)
asyncio.run(main())
"""


def test_ctrl_z_where_no_shell_could_wake_us() -> None:
    """`ssh -t HOST subcli watch`: the process group is an orphan, which the kernel does not stop; nor do we."""
    process = subprocess.run(
        [sys.executable, "-c", _STOPPED], start_new_session=True, capture_output=True, timeout=HANG_S, check=True
    )
    assert process.stdout.split() == [b"suspend", b"resume"] * 2


def test_token_file_that_can_be_read_once() -> None:
    """`SUBCLI_TOKEN_FILE=<(pass show judge)`: who masks the token in the log leaves it for who sends it."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"filetoken123456\n")
        os.close(writing)
        env = {"SUBCLI_TOKEN_FILE": f"/dev/fd/{reading}"}
        assert secrets_in(env) == (Secret("filetoken123456"),)
        assert load({"server": SERVER}, env, Path("/"), None).token == Secret("filetoken123456")
        assert secrets_in(env) == (Secret("filetoken123456"),)
    finally:
        os.close(reading)


def test_pasted_link_gets_no_token_of_a_variable(tmp_path: Path) -> None:
    """`watch URL` follows a stranger's link, but SUBCLI_TOKEN goes only to a server that the user named."""
    env = {"SUBCLI_TOKEN": "secret", "SUBCLI_SERVER": "https://mine.example"}
    stranger = load({}, env, tmp_path, None, pasted_server="https://evil.example")
    assert (stranger.server, stranger.token) == ("https://evil.example", None)
    mine = load({}, env, tmp_path, None, pasted_server="https://mine.example")
    assert mine.token is not None
    by_flag = load({"server": "https://evil.example"}, env, tmp_path, None, pasted_server="https://other.example")
    assert by_flag.server == "https://evil.example"
    assert by_flag.token is not None


def test_server_that_nobody_named_gets_no_token_of_a_variable(tmp_path: Path) -> None:
    """Whatever listens on the default port may be anybody's on this machine."""
    env = {"SUBCLI_TOKEN": "secret"}
    by_default = load({}, env, tmp_path, None)
    assert (by_default.server_origin, by_default.token) == ("default", None)
    assert by_default.token_withheld == "SUBCLI_TOKEN"
    by_variable = load({}, {**env, "SUBCLI_SERVER": by_default.server}, tmp_path, None)
    assert by_variable.token == Secret("secret")
    assert by_variable.token_withheld == ""
