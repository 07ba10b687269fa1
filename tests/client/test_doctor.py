"""The course of `subcli doctor`'s checks: its limit, and what it does not wait for."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import time
import warnings
from pathlib import Path

import pytest

from subcli.client.api import ServerInfo
from subcli.client.doctor import diagnose, reach
from subcli.client.doctor.diagnosis import Diagnosis
from subcli.client.doctor.reach import ServerReply
from subcli.core.errors import CredentialError
from subcli.settings.config import Settings
from tests.client.certificates import make_certificate
from tests.hang import HANG_S


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that find nothing wrong, at once."""

    def passing(name: str) -> object:
        async def check(*_: object) -> Diagnosis:
            return Diagnosis(name, "ok", "")

        return check

    async def check_api(_: object) -> tuple[Diagnosis, ServerReply]:
        return Diagnosis("api", "ok", ""), ServerReply(ServerInfo(), None, time.time(), 0.0)

    for name in ("proxy", "connection", "certificate", "websocket", "token"):
        monkeypatch.setattr(diagnose, f"check_{name}", passing("server" if name == "connection" else name))

    async def check_problems(_: object) -> Diagnosis | None:
        return None

    monkeypatch.setattr(diagnose, "check_api", check_api)
    monkeypatch.setattr(diagnose, "check_problems", check_problems)
    monkeypatch.setattr(diagnose, "check_keyring", lambda *_: Diagnosis("keyring", "ok", ""))


async def found(limit_s: float = HANG_S) -> list[tuple[str, str]]:
    """The checks and their states."""
    return [(each.name, each.state) async for each in diagnose.diagnose(Settings(), "1", limit_s=limit_s)]


async def test_every_check_is_reported_once() -> None:
    """In their order; the clock has nothing to compare with, and this server does not say who judges."""
    states = ["skipped" if name in ("clock", "judging") else "ok" for name in diagnose._CHECKS]
    assert await found() == list(zip(diagnose._CHECKS, states, strict=True))


async def test_what_is_only_reported_at_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems that are not valid as they are now, between the others."""

    async def check_problems(_: object) -> Diagnosis | None:
        return Diagnosis("problems", "warning", "")

    monkeypatch.setattr(diagnose, "check_problems", check_problems)
    names = [name for name, _ in await found()]
    assert names[-3:] == ["token", "problems", "keyring"]


async def test_check_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named when the time is over; those that would have followed are skipped."""

    async def hang(_: object) -> Diagnosis:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(diagnose, "check_proxy", hang)
    states = ["ok", "ok", "failed"] + ["skipped"] * 8
    assert await found(0.05) == list(zip(diagnose._CHECKS, states, strict=True))


async def test_login_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out because of it."""

    def refuse(*_: object, **__: object) -> object:
        raise CredentialError("The keyring is locked.")

    monkeypatch.setattr(diagnose, "connect", refuse)
    assert (await found())[-3:] == [("websocket", "skipped"), ("token", "failed"), ("keyring", "ok")]


def test_keyring_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a Ctrl-C or at the limit, the end of the event loop does not wait for it."""
    answers, answered = threading.Event(), threading.Event()

    async def interrupted() -> None:
        loop, asked = asyncio.get_running_loop(), asyncio.Event()

        def check(*_: object) -> Diagnosis:
            loop.call_soon_threadsafe(asked.set)
            answers.wait(30)
            answered.set()
            return Diagnosis("keyring", "ok", "")

        monkeypatch.setattr(diagnose, "check_keyring", check)
        task = asyncio.create_task(found())
        await asked.wait()
        task.cancel()

    asyncio.run(interrupted())
    assert not answered.is_set()
    answers.set()
    assert answered.wait(30)


def test_connection_is_closed_when_the_check_ends(tmp_path: Path) -> None:
    """Also where the server keeps its end of TLS open."""
    certificate, key = make_certificate(tmp_path)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate, key)
    ours = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            accepted, _ = listening.accept()
            with theirs.wrap_socket(accepted, server_side=True):
                over.wait(30)

        threading.Thread(target=serve, daemon=True).start()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert asyncio.run(reach._open("127.0.0.1", listening.getsockname()[1], ssl=ours))
            gc.collect()
        over.set()
