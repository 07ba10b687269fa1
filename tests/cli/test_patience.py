"""A command waits for a server for a bounded time, and says what for."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from subcli.cli import patience as module
from subcli.cli.patience import Patience
from subcli.core.errors import NetworkError
from tests.cli.streams import Captured, captured


@pytest.fixture
def streams(tmp_path: Path) -> Captured:
    """Where it says what it waits for."""
    return captured(tmp_path)


@pytest.fixture
def stderr(streams: Captured) -> io.StringIO:
    """What it has said."""
    return streams.err


@pytest.fixture
def patience(streams: Captured, monkeypatch: pytest.MonkeyPatch) -> Patience:
    """Little of it."""
    monkeypatch.setattr(module, "LIMIT_S", 0.2)
    monkeypatch.setattr(module, "NOTICE_AFTER_S", 0.05)
    return Patience("http://judge.example:8000/prefix", streams.streams)


async def test_limit_ends_a_command(patience: Patience, stderr: io.StringIO) -> None:
    """A server that never answers is named, before and at the end."""
    with pytest.raises(NetworkError) as caught:
        async with patience.waiting(hint="Do this."):
            await asyncio.Event().wait()
    assert caught.value.message == "judge.example:8000 did not answer within 0.2 s."
    assert caught.value.hint == "Do this."
    assert stderr.getvalue() == "waiting for judge.example:8000 to answer …\n"


async def test_repeats_count_and_are_named(patience: Patience) -> None:
    """Our own backoff is no excuse; what the last attempt got is part of the message."""
    with pytest.raises(NetworkError, match=r"answer within 0.2 s \(HTTP 503\)"):
        async with patience.waiting():
            await patience(60.0, "HTTP 503.", False)


async def test_waits_that_the_server_asked_for_do_not_count(patience: Patience) -> None:
    """`Retry-After` may be longer than the limit."""
    waited = False
    async with patience.waiting():
        await patience(0.5, "HTTP 429", True)
        waited = True
    assert waited


async def test_questions_do_not_count(patience: Patience, stderr: io.StringIO) -> None:
    """A person may take any time, without being told that a server is waited for."""
    async with patience.waiting():
        with patience.paused():
            await asyncio.sleep(0.5)
    assert stderr.getvalue() == ""
    with pytest.raises(NetworkError):
        await _asked_and_then_silent(patience)


async def _asked_and_then_silent(patience: Patience) -> None:
    async with patience.waiting():
        with patience.paused():
            pass
        await asyncio.Event().wait()


async def test_timeout_of_the_user_counts_everything(patience: Patience) -> None:
    """Longer or shorter than our limit, and whoever asked for the wait."""
    async with patience.waiting(60.0):
        await asyncio.sleep(0.4)
        slept = True
    assert slept
    with pytest.raises(TimeoutError):
        async with patience.waiting(0.1):
            await patience(60.0, "HTTP 429", True)


async def test_quick_answers_say_nothing(patience: Patience, stderr: io.StringIO) -> None:
    """Also not later."""
    async with patience.waiting():
        pass
    await asyncio.sleep(0.1)
    assert stderr.getvalue() == ""
    with pytest.raises(TimeoutError):
        async with patience.waiting():
            raise TimeoutError
