"""`auth logout` and `auth status` where a login is on record, against a small server."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from subcli.cli.commands.auth import logout, status
from subcli.cli.common import Common
from subcli.client.records import Credentials, Tokens
from subcli.shared.secret import Secret


def jwt(expires: int) -> str:
    """Looks like a token that expires then."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps({'exp': expires}).encode()).decode().rstrip('=')}.x"


OLD, NEW = jwt(1_000_000_000), jwt(4_000_000_000)


class _Handler(BaseHTTPRequestHandler):
    accepts = f"Bearer {NEW}"

    def do_GET(self) -> None:
        good = self.headers.get("Authorization") == self.accepts
        self._answer(200 if good else 401, {"user": "ada"} if good else {"detail": "no"})

    def do_POST(self) -> None:
        self._answer(200, {"access_token": NEW, "refresh_token": "second"})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Its address. It accepts the new token only, and gives it for any refresh token."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("SUBCLI_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_status_after_a_renewal(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The expiry shown is that of the token in force, not of the one that was renewed."""
    Credentials(tmp_path / "subcli").save(server, "ada", Tokens(Secret(OLD), Secret("first")), "file")
    assert status.status(Common(json=True, server=server)) == 0
    shown = json.loads(capsys.readouterr().out)["auth"]
    assert (shown["valid"], shown["expires_at"][:4]) == (True, "2096")


def test_status_of_a_token_that_a_renewal_does_not_help(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused after the renewal as well: invalid, exit 4; not a fault of the network."""
    monkeypatch.setattr(_Handler, "accepts", "none")
    Credentials(tmp_path / "subcli").save(server, "ada", Tokens(Secret(OLD), Secret("first")), "file")
    assert status.status(Common(json=True, server=server)) == 4
    assert json.loads(capsys.readouterr().out)["auth"]["valid"] is False


def test_logout_sends_nothing_over_plain_http(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tokens do not travel readable to another machine; the login here is gone all the same."""
    elsewhere = "http://judge.example"
    sent = []

    async def revoke(*given: object) -> bool:
        sent.append(given)
        return True

    monkeypatch.setattr(logout, "_revoke", revoke)
    credentials = Credentials(tmp_path / "subcli")
    credentials.save(elsewhere, "ada", Tokens(Secret(OLD), Secret("first")), "file")
    assert logout.logout(Common(json=True, server=elsewhere)) == 0
    assert sent == []
    assert credentials.logins() == {}
    assert json.loads(capsys.readouterr().out)["logout"]["revoked"] is False
