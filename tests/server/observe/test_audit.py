"""The audit log."""

from __future__ import annotations

import asyncio
import io
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from subcli.cli.main import run
from subcli.server.limits import Rate
from subcli.server.observe import audit
from tests.hang import HANG_S
from tests.server.conftest import PASSWORD

WRONG = "canary-wr0ng-password"
TYPED_AS_NAME = "canary-typed-as-the-name"
GUESSED = "c" * 43


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    """Nothing of the log is left behind."""
    yield
    audit.stop()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.thorough
async def test_who_did_what(start: Callable[..., Any], tmp_path: Path) -> None:
    """Logins, refusals, refreshes, reuse, logouts and tokens: who, when, from where, and no secret."""
    file = tmp_path / "audit.jsonl"
    audit.write_to(str(file))
    async with start(auth=True, refresh_grace_s=0.0, logins=3, hash_queue=1) as live:
        granted = await live.be("ada")
        secrets = [PASSWORD, WRONG, TYPED_AS_NAME, GUESSED, *granted.values()]
        submission_id = await live.submit()
        secrets.append((await live.http.post(f"/api/submissions/{submission_id}/watch-token")).json()["token"])
        renewed = (await live.grant(grant_type="refresh_token", refresh_token=granted["refresh_token"])).json()
        secrets += renewed.values()
        assert (await live.http.post("/api/auth/logout")).status_code == 200
        other = await live.log_in("ada")
        await live.grant(grant_type="refresh_token", refresh_token=other["refresh_token"])
        await live.grant(grant_type="refresh_token", refresh_token=other["refresh_token"])
        await live.grant(grant_type="refresh_token", refresh_token=GUESSED)
        live.http.cookies.clear()
        await live.grant(grant_type="password", username=TYPED_AS_NAME, password=WRONG)
        for _ in range(4):
            await live.grant(grant_type="password", username="ada", password=WRONG)
        third = await live.http.post("/api/auth/logout", json={"refresh_token": GUESSED})
        assert third.status_code == 200
    found = lines(file)
    told = [(line["message"], line["outcome"], line.get("user"), line.get("reason")) for line in found]
    assert told == [
        ("login", "granted", "ada", None),
        ("watch token", "granted", "ada", None),
        ("refresh", "granted", "ada", None),
        ("logout", "done", "ada", None),
        ("login", "granted", "ada", None),
        ("refresh", "granted", "ada", None),
        ("refresh", "reused", "ada", None),
        ("refresh", "refused", None, "invalid_grant"),
        ("login", "refused", None, "invalid_grant"),
        *[("login", "refused", "ada", "invalid_grant")] * 3,
        ("login", "refused", "ada", "logins"),
    ]
    assert {line["client"] for line in found} == {"127.0.0.1"}
    assert all(line["time"].endswith("Z") and line["request"] for line in found)
    assert found[1]["submission"] == submission_id
    assert found[0]["session"] == found[3]["session"] != found[4]["session"]
    written = file.read_text()
    assert not [secret for secret in map(str, secrets) if len(secret) > 8 and secret in written]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.thorough
async def test_flood_of_refusals_does_not_fill_the_log(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What costs nothing to be refused is told a few times a minute for each network."""
    file = tmp_path / "audit.jsonl"
    audit.write_to(str(file))
    monkeypatch.setattr("subcli.server.accounts.logins._RECORDED", Rate("audit", 5, 36_000.0))
    async with start(auth=True, logins_address=1, login_window_s=36_000.0) as live:
        async with asyncio.timeout(HANG_S):
            for number in range(12):
                await live.grant(grant_type="password", username=f"user{number}", password=WRONG)
    reasons = [line["reason"] for line in lines(file)]
    assert reasons == ["invalid_grant", *["logins-address"] * 5]


def test_file_that_is_moved_away(tmp_path: Path) -> None:
    """The next line is in a new file, with the same mode."""
    file = tmp_path / "audit.jsonl"
    audit.write_to(str(file))
    audit.record("login", "granted", user="ada")
    file.rename(tmp_path / "audit.jsonl.1")
    audit.record("logout", "done", user="a\nb\x1b[31m\u202e")
    assert [line["message"] for line in lines(file)] == ["logout"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes().isascii()
    assert file.read_bytes().count(b"\n") == 1


def test_users_added_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By whom on this machine; what was refused is not told. A file that cannot be written: exit 2."""
    file = tmp_path / "audit.jsonl"
    monkeypatch.setenv("SUBCLI_DATABASE", f"sqlite:///{tmp_path / 'mine.db'}")
    monkeypatch.setenv("SUBCLI_AUDIT_LOG", str(file))

    def user(*words: str) -> int:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PASSWORD.encode())))
        return run(["user", *words])

    assert [user("add", "ada"), user("add", "ada"), user("remove", "bob")] == [0, 2, 5]
    assert [(line["message"], line["user"]) for line in lines(file)] == [("user added", "ada")]
    assert lines(file)[0]["by"]
    assert PASSWORD not in file.read_text()
    capsys.readouterr()
    assert user("remove", "ada", "--audit-log", "-") == 0
    [line] = capsys.readouterr().err.splitlines()
    assert (json.loads(line)["message"], json.loads(line)["user"]) == ("user removed", "ada")
    assert user("add", "bob", "--audit-log", str(tmp_path)) == 2
    assert "cannot be written" in capsys.readouterr().err
