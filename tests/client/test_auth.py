"""Renewing a login: once for all watches of a process, and beside other processes."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest

from subcli.client.auth import (
    RENEWAL_DELAYS_S,
    GivenToken,
    Prompting,
    SessionLogin,
    StoredLogin,
    refresh_grant,
)
from subcli.client.records import Credentials, Tokens
from subcli.core.errors import CredentialError
from subcli.core.inputs import Refreshed
from subcli.shared.secret import Secret

SERVER = "https://judge.example"


def pair(number: int) -> Tokens:
    """The tokens after this many renewals."""
    return Tokens(Secret(f"access-{number}"), Secret(f"refresh-{number}"))


class Server:
    """Gives the next pair for the refresh token that is current, and none for another: it rotates."""

    def __init__(self) -> None:
        self.current = 0
        self.asked: list[str] = []

    async def grant(self, refresh: Secret) -> Tokens | None:
        self.asked.append(refresh.reveal())
        await asyncio.sleep(0.01)
        if refresh != pair(self.current).refresh:
            return None
        self.current += 1
        return pair(self.current)


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    """A stored login with the first pair."""
    kept = Credentials(tmp_path / "config")
    kept.save(SERVER, "ada", pair(0), "file")
    return kept


def login(credentials: Credentials, server: Server) -> StoredLogin:
    """As a process that has just started has it."""
    tokens = credentials.load(SERVER)
    assert tokens is not None
    return StoredLogin(credentials, SERVER, tokens, server.grant)


async def test_renews_and_keeps(credentials: Credentials) -> None:
    """The new pair is used, and kept for the next process."""
    server = Server()
    mine = login(credentials, server)
    assert (await mine.refresh(mine.token())).ok
    assert mine.token() == Secret("access-1")
    assert credentials.load(SERVER) == pair(1)
    record = credentials.login(SERVER)
    assert record is not None
    assert record.user == "ada"


async def test_one_renewal_for_all_watches(credentials: Credentials) -> None:
    """Twenty watches that are refused at the same moment cause one renewal."""
    server = Server()
    mine = login(credentials, server)
    answers = await asyncio.gather(*(mine.refresh(mine.token()) for _ in range(20)))
    assert all(answer.ok for answer in answers)
    assert server.asked == ["refresh-0"]


async def test_refusal_of_a_token_that_was_replaced(credentials: Credentials) -> None:
    """The new token is tried, however long ago it was got; only when it is refused itself, another is asked for."""
    server = Server()
    mine = login(credentials, server)
    first = mine.token()
    assert await mine.refresh(first) == Refreshed(True)
    assert await mine.refresh(first) == Refreshed(True, renewed=False)
    assert server.asked == ["refresh-0"]
    assert await mine.refresh(mine.token()) == Refreshed(True)
    assert mine.token() == Secret("access-2")


async def test_processes_do_not_log_each_other_out(credentials: Credentials) -> None:
    """Ten processes whose token expires together: one renews, the others take what it kept."""
    server = Server()
    processes = [login(credentials, server) for _ in range(10)]
    answers = await asyncio.gather(*(process.refresh(process.token()) for process in processes))
    assert all(answer.ok for answer in answers)
    assert server.asked == ["refresh-0"]
    assert {process.token() for process in processes} == {Secret("access-1")}


async def test_refused(credentials: Credentials) -> None:
    """A login that the server ended cannot be renewed; the hint names the command."""
    server = Server()
    mine = login(credentials, server)
    server.current = 7
    answer = await mine.refresh(mine.token())
    assert not answer.ok
    assert f"subcli auth login --server {SERVER}" in answer.hint


async def test_logged_out_meanwhile(credentials: Credentials) -> None:
    """A login deleted by another process is not made again."""
    mine = login(credentials, Server())
    credentials.delete(SERVER)
    assert not (await mine.refresh(mine.token())).ok
    assert credentials.logins() == {}


async def test_no_refresh_token(credentials: Credentials) -> None:
    """A token given with --with-token cannot be renewed."""
    credentials.save(SERVER, None, Tokens(Secret("given")), "file")
    server = Server()
    assert not (await login(credentials, server).refresh(Secret("given"))).ok
    assert server.asked == []


async def test_given_token() -> None:
    """A token from a variable cannot be renewed, and the hint names the variable."""
    given = GivenToken(Secret("x"), "SUBCLI_TOKEN", SERVER)
    answer = await given.refresh(given.token())
    assert given.token() == Secret("x")
    assert not answer.ok
    assert "SUBCLI_TOKEN" in answer.hint
    nothing = await GivenToken(None, "", SERVER).refresh(None)
    assert f"subcli auth login --server {SERVER}" in nothing.hint
    withheld = await GivenToken(None, "", SERVER, "SUBCLI_TOKEN").refresh(None)
    assert f"SUBCLI_TOKEN is sent only to a server that you name: `--server {SERVER}`" in withheld.hint


async def test_person_is_asked_last_and_once(credentials: Credentials) -> None:
    """A person is asked only when renewing silently fails, and only once for all watches."""
    asked = 0
    server = Server()

    async def ask() -> SessionLogin | None:
        nonlocal asked
        asked += 1
        return SessionLogin(pair(0), server.grant, SERVER)

    quiet = Prompting(login(credentials, Server()), ask, SERVER)
    assert (await quiet.refresh(quiet.token())).ok
    assert asked == 0
    refused = Prompting(GivenToken(None), ask, SERVER)
    answers = await asyncio.gather(*(refused.refresh(refused.token()) for _ in range(5)))
    assert asked == 1
    assert all(answer.ok for answer in answers)
    assert refused.token() == Secret("access-0")
    assert server.asked == []


async def test_login_of_the_prompt_is_renewed_as_well() -> None:
    """What a person typed once lasts: its token is renewed silently when it expires in its turn."""
    server = Server()

    async def ask() -> SessionLogin | None:
        return SessionLogin(pair(0), server.grant, SERVER)

    person = Prompting(GivenToken(None), ask, SERVER)
    assert (await person.refresh(person.token())).ok
    for number in (1, 2, 3):
        assert (await person.refresh(person.token())).ok
        assert person.token() == Secret(f"access-{number}")
    server.current = 9
    assert not (await person.refresh(person.token())).ok


async def test_login_that_can_no_longer_be_kept(
    credentials: Credentials, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the renewed pair cannot be written, this process goes on with it, and says so once."""
    server = Server()
    mine = login(credentials, server)

    def fail(*_: object, **__: object) -> None:
        raise CredentialError("The disk is full.", hint="Make room.")

    monkeypatch.setattr(credentials, "save", fail)
    for number in (1, 2):
        assert (await mine.refresh(mine.token())).ok
        assert mine.token() == Secret(f"access-{number}")
    assert [record.getMessage() for record in caplog.records] == [
        "The renewed login could not be stored: The disk is full. Make room."
    ]


def test_keyring_that_hangs_delays_no_end(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is interrupted while its renewed login is stored ends without waiting for the store."""
    begun, released, done = threading.Event(), threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        begun.set()
        released.wait(30)
        done.set()

    async def interrupted() -> None:
        mine = login(credentials, Server())
        monkeypatch.setattr(credentials, "save", hang)
        renewing = asyncio.create_task(mine.refresh(mine.token()))
        assert await asyncio.to_thread(begun.wait, 30)
        renewing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await renewing

    asyncio.run(interrupted())
    assert not done.is_set()
    released.set()


async def test_person_who_does_not_want_to(credentials: Credentials) -> None:
    """Ending the prompt without an answer ends in the same error as having nobody to ask."""

    async def ask() -> None:
        return None

    nobody = Prompting(GivenToken(None), ask, SERVER)
    for _ in range(2):
        answer = await nobody.refresh(nobody.token())
        assert not answer.ok
        assert "subcli auth login" in answer.hint


async def test_lost_race_takes_the_pair_of_the_winner(credentials: Credentials) -> None:
    """Another process spent our refresh token despite the lock: what it stored is used."""

    async def grant(_: Secret) -> Tokens | None:
        credentials.save(SERVER, "ada", pair(1), "file")
        return None

    tokens = credentials.load(SERVER)
    assert tokens is not None
    mine = StoredLogin(credentials, SERVER, tokens, grant)
    assert (await mine.refresh(mine.token())).ok
    assert mine.token() == Secret("access-1")


class TokenEndpoint:
    """``POST /auth/token`` with these answers in turn; the delays before each are noted instead of waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.forms: list[dict[str, str]] = []
        self.slept: list[float] = []

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        monkeypatch.setattr("subcli.client.auth.asyncio.sleep", sleep)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.forms.append(dict(parse_qsl(request.content.decode())))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def renew(self) -> Tokens | None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self._handle)) as http:
            return await refresh_grant(http, f"{SERVER}/api", Secret("refresh-0"))


NEXT = httpx.Response(200, json={"access_token": "access-1", "refresh_token": "refresh-1"})


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_refused_refresh_token_is_not_sent_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A refusal is final."""
    endpoint = TokenEndpoint(monkeypatch, httpx.Response(status), NEXT)
    assert await endpoint.renew() is None
    assert endpoint.forms == [{"grant_type": "refresh_token", "refresh_token": "refresh-0"}]


@pytest.mark.parametrize("answer", [httpx.Response(429), httpx.Response(503), httpx.ConnectError("refused")])
async def test_server_that_recovers_renews_the_login(
    monkeypatch: pytest.MonkeyPatch, answer: httpx.Response | Exception
) -> None:
    """A restart of the server must not log anybody out; but nobody waits for ever."""
    endpoint = TokenEndpoint(monkeypatch, answer, NEXT)
    assert await endpoint.renew() == pair(1)
    assert endpoint.slept == list(RENEWAL_DELAYS_S[:2])
    gone = TokenEndpoint(monkeypatch, answer)
    assert await gone.renew() is None
    assert gone.slept == list(RENEWAL_DELAYS_S)


async def test_refresh_token_that_does_not_rotate_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6749 section 6: without a new one, the old one is still valid."""
    endpoint = TokenEndpoint(monkeypatch, httpx.Response(200, json={"access_token": "access-1"}))
    assert await endpoint.renew() == Tokens(Secret("access-1"), Secret("refresh-0"))
