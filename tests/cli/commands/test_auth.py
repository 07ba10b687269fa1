"""`auth` against a small server, with the login in the plaintext file."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import subcli.cli.commands.list as list_submissions
from subcli.cli.commands.auth import login, logout, status, token
from subcli.cli.commands.auth.expiry import expires_at
from subcli.cli.common import Common
from subcli.client.records import Credentials, Tokens
from subcli.core.errors import AuthError, CredentialError, RateLimitedError, ServerError, SubcliError, UsageError
from subcli.shared.secret import Secret
from tests.cli.rest import Rest, rest
from tests.cli.streams import captured


def jwt(expires: object) -> str:
    """Looks like a token that expires then."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps({'exp': expires}).encode()).decode().rstrip('=')}.x"


OLD, NEW = jwt(1_000_000_000), jwt(4_000_000_000)
ANSWERS = {
    "GET /auth/me": (200, {"user": "ada"}),
    "POST /auth/token": (200, {"access_token": NEW, "refresh_token": "second"}),
    "POST /auth/logout": (200, {}),
}


@pytest.fixture
def server() -> Iterator[Rest]:
    """It accepts the new token only, and gives it for any refresh token."""
    with rest(ANSWERS, token=NEW) as running:
        yield running


@pytest.fixture
def credentials(home: Path) -> Credentials:
    """Where logins are recorded."""
    return Credentials(home / ".config/subcli")


def test_status_after_a_renewal(server: Rest, credentials: Credentials, home: Path) -> None:
    """The expiry shown is that of the token in force, not of the one that was renewed."""
    credentials.save(server.url, "ada", Tokens(Secret(OLD), Secret("first")), "file")
    here = captured(home)
    assert status.status(Common(json=True, server=server.url), here.streams) == 0
    shown = here.json["auth"]
    assert (shown["valid"], shown["expires_at"][:4]) == (True, "2096")


def test_status_of_a_token_that_a_renewal_does_not_help(credentials: Credentials, home: Path) -> None:
    """Refused after the renewal as well: invalid, exit 4; not a fault of the network."""
    with rest(ANSWERS, token="another") as server:
        credentials.save(server.url, "ada", Tokens(Secret(OLD), Secret("first")), "file")
        here = captured(home)
        assert status.status(Common(json=True, server=server.url), here.streams) == 4
        assert here.json["auth"]["valid"] is False


@pytest.mark.parametrize(
    "command", [status.status, token.token, lambda common, streams: list_submissions.run(common, streams, 3)]
)
def test_keyring_that_is_waited_for(
    command: Callable[..., int], server: Rest, credentials: Credentials, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the server that does not answer."""
    credentials.save(server.url, "ada", Tokens(Secret(NEW), None), "file")

    def fail(*_: object) -> None:
        raise CredentialError("The keyring did not answer within 3 s.")

    monkeypatch.setattr(Credentials, "load", fail)
    monkeypatch.setattr("subcli.cli.patience.NOTICE_AFTER_S", 0)
    here = captured(home)
    with contextlib.suppress(SubcliError):
        command(Common(server=server.url), here.streams)
    assert "waiting for" not in here.err.getvalue()


def test_status_without_a_login(server: Rest, home: Path) -> None:
    """Exit 4, and the command to run."""
    here = captured(home)
    assert status.status(Common(server=server.url), here.streams) == 4
    assert here.out.getvalue().splitlines() == [
        f"server   {server.url}",
        "token    none",
        f"next     subcli auth login --server {server.url}",
    ]


def test_status_where_the_server_cannot_tell(credentials: Credentials, home: Path) -> None:
    """A server without `auth/me`: the login counts as good, and the output says what is not known."""
    with rest({}) as server:
        credentials.save(server.url, "ada", Tokens(Secret(NEW)), "file")
        here = captured(home)
        assert status.status(Common(server=server.url), here.streams) == 0
        assert "this server cannot verify it, from the plaintext credentials file" in here.out.getvalue()


def test_variable_shadows_the_login(server: Rest, credentials: Credentials, home: Path) -> None:
    """`SUBCLI_TOKEN` is used, and the status says that it hides a login."""
    credentials.save(server.url, "ada", Tokens(Secret(OLD)), "file")
    here = captured(home, SUBCLI_TOKEN=NEW)
    assert status.status(Common(json=True, server=server.url), here.streams) == 0
    shown = here.json["auth"]
    assert (shown["source"], shown["shadowed_login"], shown["renewable"]) == ("SUBCLI_TOKEN", True, False)


@pytest.mark.parametrize(("code", "error"), [(429, RateLimitedError), (500, ServerError), (503, ServerError)], ids=str)
def test_server_that_does_not_say_whose_a_token_is(
    credentials: Credentials, home: Path, code: int, error: type[SubcliError]
) -> None:
    """`auth status` and `auth login` end with the code of what is wrong, which is not the network."""
    with rest({**ANSWERS, "GET /info": (200, {"name": "x"}), "GET /auth/me": (code, {"detail": "no"})}) as server:
        here = captured(home, "token", SUBCLI_SERVER=server.url, SUBCLI_TOKEN=NEW)
        with pytest.raises(error):
            status.status(Common(), here.streams)
        with pytest.raises(error):
            login.login(Common(), here.streams, None, with_token=True, insecure_storage=True)
    assert credentials.logins() == {}


@pytest.mark.parametrize("code", [401, 500])
def test_logout_that_the_server_refuses(credentials: Credentials, home: Path, code: int) -> None:
    """It was reached, so nothing else is said."""
    with rest({"POST /auth/logout": (code, {"detail": "no"})}) as server:
        credentials.save(server.url, "ada", Tokens(Secret(NEW), Secret("first")), "file")
        here = captured(home)
        assert logout.logout(Common(server=server.url), here.streams) == 0
    assert "could not be reached" not in here.out.getvalue()
    assert "not revoked on the server" in here.out.getvalue()


def test_logout_tells_the_server(server: Rest, credentials: Credentials, home: Path) -> None:
    """The login is gone here and there."""
    credentials.save(server.url, "ada", Tokens(Secret(NEW), Secret("first")), "file")
    here = captured(home)
    assert logout.logout(Common(), captured(home, SUBCLI_SERVER=server.url).streams) == 0
    assert "POST /auth/logout" in server.asked
    assert credentials.logins() == {}
    with pytest.raises(UsageError, match="There is no login"):
        logout.logout(Common(server=server.url), here.streams)


def test_logout_sends_nothing_over_plain_http(
    credentials: Credentials, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokens do not travel readable to another machine; the login here is gone all the same."""
    elsewhere = "http://judge.example"
    sent = []

    async def revoke(*given: object) -> bool:
        sent.append(given)
        return True

    monkeypatch.setattr(logout, "_revoke", revoke)
    credentials.save(elsewhere, "ada", Tokens(Secret(OLD), Secret("first")), "file")
    here = captured(home)
    assert logout.logout(Common(json=True, server=elsewhere), here.streams) == 0
    assert sent == []
    assert credentials.logins() == {}
    assert here.json["logout"]["revoked"] is False


def test_token_is_renewed_first(server: Rest, credentials: Credentials, home: Path) -> None:
    """An expired token is of no use to another program."""
    credentials.save(server.url, "ada", Tokens(Secret(OLD), Secret("first")), "file")
    here = captured(home)
    assert token.token(Common(server=server.url), here.streams) == 0
    assert here.out.getvalue() == f"{NEW}\n"


def test_no_token(server: Rest, home: Path) -> None:
    """Exit 4, and nothing on stdout."""
    here = captured(home)
    with pytest.raises(AuthError, match="There is no token"):
        token.token(Common(server=server.url), here.streams)
    assert here.out.getvalue() == ""


def test_login_with_a_token(server: Rest, credentials: Credentials, home: Path) -> None:
    """From stdin, verified, and stored for this server."""
    here = captured(home, stdin=f"{NEW}\n")
    assert login.login(Common(server=server.url), here.streams, None, with_token=True, insecure_storage=True) == 0
    assert here.out.getvalue().startswith(f"Logged in to {server.url} as ada; stored in ")
    assert credentials.logins().keys() == {server.url}


def test_login_with_a_refused_token(server: Rest, credentials: Credentials, home: Path) -> None:
    """Nothing is stored."""
    here = captured(home, stdin=f"{OLD}\n")
    with pytest.raises(AuthError, match="does not accept this token"):
        login.login(Common(server=server.url), here.streams, None, with_token=True, insecure_storage=True)
    assert credentials.logins() == {}


@pytest.mark.parametrize("stdin", ["", "two words\n", "ü"])
def test_login_with_what_is_not_a_token(server: Rest, home: Path, stdin: str) -> None:
    """It is not sent."""
    here = captured(home, stdin=stdin)
    with pytest.raises(UsageError, match="valid token"):
        login.login(Common(server=server.url), here.streams, None, with_token=True, insecure_storage=True)
    assert server.asked == []


def test_login_without_a_terminal(server: Rest, home: Path) -> None:
    """There is nobody to ask: the error names the way for scripts."""
    with pytest.raises(UsageError) as raised:
        login.login(Common(server=server.url), captured(home).streams, None, with_token=False, insecure_storage=True)
    assert "--with-token" in raised.value.hint


@pytest.mark.parametrize("exp", ["soon", None, -1, 2**40, True])
def test_expiry_that_is_not_a_time(exp: object) -> None:
    """What a token claims is not trusted to be a time."""
    found = expires_at(Secret(jwt(exp)))
    assert found is None or exp is True


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "a.!.c", "a.bnVsbA.c", f"a.{'W1tb' * 2000}.c"])
def test_expiry_of_an_opaque_token(text: str) -> None:
    """Not every token is a JSON Web Token."""
    assert expires_at(Secret(text)) is None
