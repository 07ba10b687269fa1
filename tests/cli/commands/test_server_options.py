"""Options of `serve`, `worker` and `user` that are checked before anything starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from subcli.cli.commands.server import options, serve
from subcli.cli.commands.server.options import address, require_server_extra
from subcli.cli.main import run
from subcli.core.errors import UsageError
from subcli.server.run import worker
from subcli.server.settings import ADJUSTABLE, ServerLimits, ServerSettings, WorkerSettings
from subcli.shared.platform import MacOS
from subcli.shared.secret import Secret
from tests.cli.streams import captured


@pytest.mark.parametrize(
    ("text", "found"),
    [(None, None), ("127.0.0.1:9464", ("127.0.0.1", 9464)), ("[::1]:0", ("::1", 0)), ("host:65535", ("host", 65535))],
)
def test_address(text: str | None, found: tuple[str, int] | None) -> None:
    """`HOST:PORT`; an IPv6 address stands in brackets."""
    assert address(text) == found


@pytest.mark.parametrize("text", ["", "9464", ":9464", "host:", "host:65536", "host:-1", "host:²", "host:x"])
def test_bad_address(text: str) -> None:
    """The error shows two good ones."""
    with pytest.raises(UsageError, match="is not a valid HOST:PORT") as raised:
        address(text)
    assert "[::1]:9464" in raised.value.hint


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is missing, and the command that installs it."""
    monkeypatch.setattr(options, "_NEEDED", ("sys", "there_is_no_such_module"))
    with pytest.raises(UsageError, match="there_is_no_such_module") as raised:
        require_server_extra(captured(tmp_path).streams)
    assert raised.value.hint == "pip install 'subcli-watch[server]'"


@pytest.mark.parametrize(
    "words",
    [
        *(["serve"], ["worker"], ["demo"], ["user", "list"], ["user", "remove", "ada"], ["test", "x.py"]),
        *(["db", "check"], ["db", "compact"], ["problems", "check", "."]),
    ],
    ids=" ".join,
)
def test_other_systems(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever runs a part of the server or the judge refuses in one sentence."""
    assert run([*words, "--json"], MacOS()) == 2
    error = json.loads(capfd.readouterr().out)["error"]
    assert error["message"] == "The server and the judge run on Linux only, and this is macOS."


def test_limits_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each limit that is named in the table for operators; the others keep their values."""
    seen: list[ServerSettings] = []

    def noted(_common: object, _streams: object, settings: ServerSettings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(serve, "run", noted)
    given = [f"--set-limit={name}={number}" for number, name in enumerate(ADJUSTABLE, start=501)]
    assert run(["serve", *given]) == 0
    expected: dict[str, Any] = {field: number for number, field in enumerate(ADJUSTABLE.values(), start=501)}
    assert seen[0].limits == ServerLimits(**expected)
    judging: list[WorkerSettings] = []
    monkeypatch.setattr(worker, "run_worker", lambda settings, **_: judging.append(settings))
    assert run(["worker", "--database", "sqlite:///x", "--redis", "redis://x", "--set-limit=output-bytes=7"]) == 0
    assert judging[0].limits == ServerLimits(output_bytes=7)


def test_secrets_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As the secrets of containers are; a flag comes first, a variable beside its file is one too many.

    A file that is not there is named.
    """
    seen: list[ServerSettings] = []

    def noted(_common: object, _streams: object, settings: ServerSettings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(serve, "run", noted)
    for name in ("DATABASE", "REDIS", "SECRET_KEY", "ACCEPTED_KEY"):
        (tmp_path / name).write_text(f"{name} of the file\n")
        monkeypatch.setenv(f"SUBCLI_{name}_FILE", str(tmp_path / name))
    assert run(["serve", "--auth"]) == 0
    assert (seen[0].database, seen[0].redis) == ("DATABASE of the file", "REDIS of the file")
    key = seen[0].authentication
    assert key is not None
    assert (key.key, key.accepted_key) == (Secret("SECRET_KEY of the file"), Secret("ACCEPTED_KEY of the file"))
    assert run(["serve", "--database", "sqlite://"]) == 0
    assert (seen[1].database, seen[1].redis) == ("sqlite://", "REDIS of the file")
    for name in ("DATABASE", "REDIS", "SECRET_KEY", "ACCEPTED_KEY"):
        with monkeypatch.context() as both:
            both.setenv(f"SUBCLI_{name}", "given")
            assert run(["serve", "--auth"]) == 2
            assert f"SUBCLI_{name} and SUBCLI_{name}_FILE are both set." in capsys.readouterr().err
    (tmp_path / "DATABASE").write_text("\n")
    assert run(["serve"]) == 2
    assert "is empty" in capsys.readouterr().err
    (tmp_path / "DATABASE").unlink()
    for command in (["serve"], ["worker"], ["user", "list"], ["user", "add", "ada"], ["user", "remove", "ada"]):
        assert run(command) == 2
        assert "DATABASE cannot be read: No such file or directory." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serve", "--no-worker"], "With `--no-worker` and without `--redis`, nothing would ever be judged."),
        (["serve", "--no-worker", "--concurrency", "2"], "`--no-worker` and `--concurrency` exclude each other."),
        (["serve", "--allow-origin", "judge"], "'judge' is not a valid origin."),
        (["serve", "--trusted-proxy", "10.0.0.0/99"], "'10.0.0.0/99' is not a valid address or network."),
        (["serve", "--metrics-address", "9464"], "'9464' is not a valid HOST:PORT."),
        (["serve", "--set-limit", "lease=3"], "'lease' is not a limit."),
        (["serve", "--set-limit", "logins"], "'' is not a valid number for logins."),
        (["serve", "--set-limit", "logins=0"], "'0' is not a valid number for logins."),
        (["serve", "--set-limit", "logins=99999999"], "'99999999' is not a valid number for logins."),
        (["serve", "--set-limit", "logins=1e3"], "'1e3' is not a valid number for logins."),
        (["serve", "--set-limit", "logins=٣"], "'٣' is not a valid number for logins."),
        (["worker"], "A worker needs --database and --redis."),
        (["worker", "--redis", "redis://x"], "A worker needs --database."),
        (["user", "add", "a b"], "'a b' is not a valid user name."),
    ],
)
def test_usage_errors(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 before anything starts."""
    assert run([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"] == message
