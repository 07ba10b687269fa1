"""Stored logins, over keyrings that work, hang, fail and forget."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import keyring.backends.null
import pytest
from filelock import FileLock
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from subcli.client.records import Credentials, Place, Tokens
from subcli.core.errors import CredentialError
from subcli.shared.secret import Secret
from tests.client.keyrings import FileKeyring, ForgetfulKeyring, HangingKeyring, RaisingKeyring

SERVER = "https://judge.example"
PAIR = Tokens(Secret("the-access-token"), Secret("the-refresh-token"))


@pytest.fixture(autouse=True)
def _own_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SUBCLI_TEST_KEYRING", str(tmp_path / "keyring.json"))
    before = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    """Logins in a directory of their own."""
    return Credentials(tmp_path / "config")


def everything_on_disk(directory: Path) -> str:
    """The content of every file below a directory."""
    return "".join(path.read_text() for path in directory.rglob("*") if path.is_file())


def test_keyring_round_trip(credentials: Credentials, tmp_path: Path) -> None:
    """Both tokens are one entry in the keyring; the record beside it holds no secret."""
    assert credentials.load(SERVER) is None
    credentials.save(SERVER, "ada", PAIR, "keyring")
    assert credentials.load(SERVER) == PAIR
    login = credentials.login(SERVER)
    assert login is not None
    assert (login.user, login.place) == ("ada", "keyring")
    assert len(json.loads((tmp_path / "keyring.json").read_text())) == 1
    assert "token" not in everything_on_disk(tmp_path / "config")
    credentials.delete(SERVER)
    assert credentials.load(SERVER) is None
    assert json.loads((tmp_path / "keyring.json").read_text()) == {}


def test_file_round_trip(credentials: Credentials, tmp_path: Path) -> None:
    """The plaintext file is readable by its owner only; several servers stand side by side."""
    credentials.save(SERVER, None, PAIR, "file")
    credentials.save("http://other", "bob", Tokens(Secret("x")), "file")
    file = tmp_path / "config" / "credentials.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "config").stat().st_mode & 0o777 == 0o700
    assert credentials.load(SERVER) == PAIR
    assert credentials.load("http://other") == Tokens(Secret("x"))
    credentials.delete(SERVER)
    assert "the-access-token" not in everything_on_disk(tmp_path / "config")
    assert credentials.load("http://other") is not None
    assert not (tmp_path / "keyring.json").exists()


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o644, 0o660])
def test_file_accessible_to_others_is_rejected(credentials: Credentials, tmp_path: Path, mode: int) -> None:
    """A file that the group or others can access is not used, and the error says how to fix it."""
    credentials.save(SERVER, None, PAIR, "file")
    (tmp_path / "config" / "credentials.json").chmod(mode)
    with pytest.raises(CredentialError, match="accessible to other users") as raised:
        credentials.load(SERVER)
    assert "chmod 600" in raised.value.hint


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (keyring.backends.fail.Keyring, "no keyring"),
        (keyring.backends.null.Keyring, "no keyring"),
        (HangingKeyring, "did not answer"),
        (RaisingKeyring, "KeyringLocked"),
        (ForgetfulKeyring, "does not return"),
    ],
)
def test_probe_names_the_failure(credentials: Credentials, backend: type[KeyringBackend], words: str) -> None:
    """Before a login is promised, a bad keyring is found out, named with a cure, and its text is not repeated."""
    keyring.set_keyring(backend())
    with pytest.raises(CredentialError, match=words) as raised:
        credentials.probe("keyring", timeout_s=0.3)
    assert "--insecure-storage" in raised.value.hint
    assert "probe" not in raised.value.message
    assert credentials.logins() == {}


def test_probe_leaves_nothing(credentials: Credentials, tmp_path: Path) -> None:
    """A good keyring passes the probe, which leaves nothing behind."""
    assert credentials.probe("keyring") == "keyring (test keyring)"
    assert json.loads((tmp_path / "keyring.json").read_text()) == {}
    assert credentials.probe("file") == str(tmp_path / "config" / "credentials.json")


@pytest.mark.parametrize("backend", [HangingKeyring, RaisingKeyring])
def test_keyring_that_fails_later(credentials: Credentials, backend: type[KeyringBackend]) -> None:
    """A keyring that worked at login and fails later is an error with a cure, within the time given."""
    credentials.save(SERVER, "ada", PAIR, "keyring")
    keyring.set_keyring(backend())
    with pytest.raises(CredentialError) as raised:
        credentials.load(SERVER, timeout_s=0.3)
    assert raised.value.hint
    assert "token" not in raised.value.message.lower().replace("tokens", "")


@pytest.mark.parametrize("content", ["", "[]", '{"access": 1}', '{"refresh": "x"}', "not json"])
def test_entry_that_is_not_ours(credentials: Credentials, content: str) -> None:
    """What somebody else put in our place is no login, and no traceback."""
    credentials.save(SERVER, "ada", PAIR, "keyring")
    keyring.set_password("subcli", SERVER, content)
    with pytest.raises(CredentialError, match=r"not a subcli login"):
        credentials.load(SERVER)


def test_entry_that_is_gone(credentials: Credentials) -> None:
    """An entry deleted behind our back is an error that names the command to log in again."""
    credentials.save(SERVER, "ada", PAIR, "keyring")
    keyring.delete_password("subcli", SERVER)
    with pytest.raises(CredentialError, match="gone") as raised:
        credentials.load(SERVER)
    assert f"subcli auth login --server {SERVER}" in raised.value.hint


@pytest.mark.parametrize("content", [b"{", b'{"a":"\xff"}', b'{"a":' + b"[" * 5000])
def test_damaged_records(credentials: Credentials, tmp_path: Path, content: bytes) -> None:
    """A damaged record is no login; logging in again mends it."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "logins.json").write_bytes(content)
    assert credentials.logins() == {}
    credentials.save(SERVER, "ada", PAIR, "keyring")
    assert credentials.load(SERVER) == PAIR


@pytest.mark.parametrize("content", [b"{", b'{"a":"\xff"}', b'{"a":' + b"[" * 5000])
def test_damaged_tokens(credentials: Credentials, tmp_path: Path, content: bytes) -> None:
    """A plaintext file that cannot be read says so; logging in again mends it."""
    credentials.save(SERVER, "ada", PAIR, "file")
    (tmp_path / "config" / "credentials.json").write_bytes(content)
    with pytest.raises(CredentialError, match=r"credentials\.json cannot be read"):
        credentials.load(SERVER)
    credentials.save(SERVER, "ada", PAIR, "file")
    assert credentials.load(SERVER) == PAIR


def test_no_home() -> None:
    """Without a home there is no login, and keeping one says so."""
    nowhere = Credentials(None)
    assert nowhere.load(SERVER) is None
    with pytest.raises(CredentialError, match="home"):
        nowhere.probe("file")


def test_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """A directory that cannot be made is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CredentialError, match="cannot be written"):
        Credentials(tmp_path / "file" / "config").save(SERVER, None, PAIR, "file")


async def test_lock_excludes(credentials: Credentials) -> None:
    """Two holders of the lock follow one another."""
    order: list[str] = []

    async def hold(name: str) -> None:
        async with credentials.locked():
            order.append(f"{name} in")
            await asyncio.sleep(0.05)
            order.append(f"{name} out")

    await asyncio.gather(hold("a"), hold("b"))
    assert [word.split()[1] for word in order] == ["in", "out", "in", "out"]


async def test_lock_that_is_never_given_back(credentials: Credentials) -> None:
    """A process that hangs with the lock does not hold up the others for ever."""
    passed = False
    async with credentials.locked(), credentials.locked(timeout_s=0.05):
        passed = True
    assert passed


def test_keyring_is_not_imported_without_a_login(tmp_path: Path) -> None:
    """Without a login on record, asking for tokens does not import the keyring library."""
    code = (
        "import sys; from pathlib import Path; from subcli.client.records import Credentials;"
        f"Credentials(Path({str(tmp_path)!r})).load('https://x'); print('keyring' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_lock_excludes_others_and_is_passed_over_when_it_cannot_be_had(tmp_path: Path) -> None:
    """One holder at a time; who waits in vain goes on after the timeout, and the lock is free afterwards."""
    order: list[str] = []

    async def hold(name: str, release: asyncio.Event, timeout_s: float) -> None:
        async with Credentials(tmp_path).locked(timeout_s):
            order.append(name)
            is_held.set()
            await release.wait()
            order.append(f"{name} done")

    is_held, first, free = asyncio.Event(), asyncio.Event(), asyncio.Event()
    free.set()
    holding = asyncio.create_task(hold("first", first, 60))
    await is_held.wait()
    await hold("impatient", free, 0.05)
    waiting = asyncio.create_task(hold("patient", free, 60))
    first.set()
    await asyncio.gather(holding, waiting)
    assert order == ["first", "impatient", "impatient done", "first done", "patient", "patient done"]


def test_records_are_changed_even_if_they_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file that cannot be opened, or that another process keeps, does not prevent a login."""
    monkeypatch.setattr("subcli.client.records.WRITE_LOCK_S", 0.05)
    with FileLock(tmp_path / "write-lock"):
        Credentials(tmp_path).save(SERVER, "ada", Tokens(Secret("one")), "file")
    (tmp_path / "write-lock").unlink(missing_ok=True)
    (tmp_path / "write-lock").mkdir()
    Credentials(tmp_path).save(SERVER, "ada", Tokens(Secret("two")), "file")
    assert Credentials(tmp_path).load(SERVER) == Tokens(Secret("two"))
    assert (tmp_path / "credentials.json").stat().st_mode & 0o777 == 0o600


# -- two stores, one transaction ----------------------------------------------------------------------


class LateKeyring(FileKeyring):
    """Can be read, but neither written nor deleted from: it was locked meanwhile."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked("locked")

    def delete_password(self, service: str, username: str) -> None:
        raise KeyringLocked("locked")


def entries(tmp_path: Path) -> dict[str, str]:
    """What the keyring holds."""
    path = tmp_path / "keyring.json"
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Credentials:
    """Logins in a directory where nothing can be written, in a way that holds for root as well."""
    (tmp_path / "config").write_text("a file where the directory should be")
    return Credentials(tmp_path / "config" / "subcli")


@pytest.mark.parametrize("place", ["keyring", "file"])
def test_probe_tries_both_stores(unwritable: Credentials, place: Place) -> None:
    """A keyring that works is not enough: the record of the login must be writable too."""
    with pytest.raises(CredentialError, match=r"config/subcli cannot be written: "):
        unwritable.probe(place)


def test_record_that_cannot_be_written_leaves_no_token(unwritable: Credentials, tmp_path: Path) -> None:
    """A token in the keyring that no record knows would be out of reach of status and logout."""
    with pytest.raises(CredentialError, match="cannot be written"):
        unwritable.save(SERVER, "ada", PAIR, "keyring")
    assert entries(tmp_path) == {}


@pytest.mark.parametrize("before", [None, "file"])
def test_token_that_cannot_be_stored_leaves_the_login_as_it_was(
    credentials: Credentials, tmp_path: Path, before: Place | None
) -> None:
    """If the keyring fails, no record claims that the new tokens are there, and the earlier login still works."""
    if before is not None:
        credentials.save(SERVER, "bob", Tokens(Secret("earlier")), before)
    keyring.set_keyring(LateKeyring())
    with pytest.raises(CredentialError, match="KeyringLocked"):
        credentials.save(SERVER, "ada", PAIR, "keyring")
    login = credentials.login(SERVER)
    assert (login and (login.user, login.place)) == (before and ("bob", before))
    assert credentials.load(SERVER) == (before and Tokens(Secret("earlier")))


def test_login_moves_from_store_to_store(credentials: Credentials, tmp_path: Path) -> None:
    """Tokens are in the place that the record names, and nowhere else."""
    for place in ("keyring", "file", "keyring"):
        credentials.save(SERVER, "ada", PAIR, place)
        assert credentials.load(SERVER) == PAIR
        assert bool(entries(tmp_path)) == (place == "keyring")
        assert ("the-access-token" in everything_on_disk(tmp_path / "config")) == (place == "file")


def test_old_tokens_that_cannot_be_removed_are_named(
    credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken keyring does not prevent a login that avoids it; what it still holds is said."""
    credentials.save(SERVER, "ada", PAIR, "keyring")
    keyring.set_keyring(LateKeyring())
    credentials.save(SERVER, "ada", Tokens(Secret("new")), "file")
    assert credentials.load(SERVER) == Tokens(Secret("new"))
    assert f"The earlier tokens for {SERVER} are still in the keyring" in caplog.text


@pytest.mark.parametrize("backend", [HangingKeyring, LateKeyring])
def test_logout_that_cannot_reach_the_keyring_keeps_its_record(
    credentials: Credentials, backend: type[KeyringBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the token would stay there, and nothing would know of it; later, logging out works."""
    monkeypatch.setattr(HangingKeyring, "delete_password", HangingKeyring.set_password, raising=True)
    credentials.save(SERVER, "ada", PAIR, "keyring")
    keyring.set_keyring(backend())
    with pytest.raises(CredentialError, match=rf"The login for {SERVER} is still in the keyring: ") as raised:
        credentials.delete(SERVER, timeout_s=0.3)
    assert "subcli auth logout" in raised.value.hint
    keyring.set_keyring(FileKeyring())
    assert credentials.load(SERVER) == PAIR
    credentials.delete(SERVER)
    assert credentials.logins() == {}


def test_logout_that_cannot_change_the_record_removes_nothing(
    credentials: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of tokens that are gone would make every command fail."""
    credentials.save(SERVER, "ada", PAIR, "keyring")

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("subcli.client.records.check_writable", refuse)
    with pytest.raises(CredentialError, match="cannot be written: Permission denied"):
        credentials.delete(SERVER)
    assert credentials.load(SERVER) == PAIR


# -- a server's identity ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["keyring", "file"])
def test_login_recorded_under_another_spelling(credentials: Credentials, tmp_path: Path, place: Place) -> None:
    """Records of earlier versions have the address as it was typed; they still count."""
    typed, same = "http://LOCALHOST:80", "http://localhost"
    credentials.save(SERVER, "ada", PAIR, place)
    file = tmp_path / "config" / "logins.json"
    file.write_text(file.read_text().replace(SERVER, typed))
    for path in (tmp_path / "keyring.json", tmp_path / "config" / "credentials.json"):
        if path.exists():
            path.write_text(path.read_text().replace(SERVER, typed))
    assert credentials.load(same) == PAIR
    credentials.save(same, "ada", Tokens(Secret("renewed")), place)
    assert credentials.load(same) == Tokens(Secret("renewed"))
    assert len(credentials.logins()) == 1
    credentials.delete(same)
    assert credentials.logins() == {}
    assert entries(tmp_path) == {}
