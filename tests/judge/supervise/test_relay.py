"""The conversation between a solution and an interactive checker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

import pytest

from subcli.judge.supervise.relay import Relay, Transcript
from tests.hang import HANG_S


def has_ended() -> bool:
    """What a speaker does that has closed its end because it has ended."""
    return False


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until something is so."""
    async with asyncio.timeout(HANG_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_what_is_said_arrives_and_its_end_once_the_speaker_has_ended() -> None:
    """The listener reads all of it, and the end not before somebody says that the speaker has ended."""
    relay = Relay(">", Transcript(), has_ended)
    os.write(relay.writing, b"hello\n")
    os.close(relay.writing)
    assert await asyncio.to_thread(os.read, relay.reading, 100) == b"hello\n"
    os.set_blocking(relay.reading, False)
    for _ in range(20):
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            os.read(relay.reading, 100)
    relay.release()
    assert os.read(relay.reading, 100) == b""
    os.close(relay.reading)


async def test_a_speaker_may_close_its_end_and_go_on() -> None:
    """The listener reads the end at once, since nobody else will tell it."""
    relay = Relay(">", Transcript(), lambda: True)
    os.write(relay.writing, b"hello\n")
    os.close(relay.writing)
    assert await asyncio.to_thread(os.read, relay.reading, 100) == b"hello\n"
    assert await asyncio.to_thread(os.read, relay.reading, 100) == b""
    relay.release()
    os.close(relay.reading)


async def test_a_listener_that_does_not_read_stops_the_speaker() -> None:
    """What is under way is bounded by two pipes and one piece; nothing is lost once it reads."""
    relay = Relay(">", Transcript(), has_ended)
    os.set_blocking(relay.writing, False)
    written = 0
    for _ in range(200):
        with suppress(BlockingIOError):
            written += os.write(relay.writing, b"x" * 65_536)
        await asyncio.sleep(0)
    assert written <= 4 * 65_536 * 2
    os.close(relay.writing)
    relay.release()
    got = 0
    while data := await asyncio.to_thread(os.read, relay.reading, 65_536):
        got += len(data)
    assert got == written
    os.close(relay.reading)


async def test_a_speaker_may_go_on_when_the_listener_has_gone() -> None:
    """What it writes is thrown away, however much it is."""
    transcript = Transcript()
    relay = Relay("<", transcript, has_ended)
    os.close(relay.reading)
    os.set_blocking(relay.writing, False)
    written = 0

    def is_much() -> bool:
        nonlocal written
        with suppress(BlockingIOError):
            written += os.write(relay.writing, b"x" * 65_536)
        return written > 1 << 20

    await until(is_much)
    relay.close()
    with pytest.raises(BrokenPipeError):
        os.write(relay.writing, b"?")
    os.close(relay.writing)
    assert "bytes more" in transcript.text()


async def test_a_closed_relay_stays_closed() -> None:
    """Closing twice is harmless, also while something waits to be sent, and touches no descriptor of anybody else's."""
    relay = Relay("<", Transcript(), has_ended)
    os.set_blocking(relay.writing, False)
    for _ in range(20):
        with suppress(BlockingIOError):
            os.write(relay.writing, b"x" * 65_536)
        await asyncio.sleep(0)
    relay.close()
    other = os.open(os.devnull, os.O_RDONLY)
    relay.close()
    os.fstat(other)
    for descriptor in (other, relay.reading, relay.writing):
        os.close(descriptor)


def test_a_transcript_joins_what_one_says_and_is_bounded() -> None:
    """Line by line, with who said it; of a long one the beginning, and how much more there was."""
    transcript = Transcript()
    for speaker, data in ((">", b"a"), (">", b"b\nc\n"), ("<", b"\xff\n")):
        transcript.add(speaker, data)
    assert transcript.text() == "> ab\n> c\n< \\xff"
    for _ in range(1000):
        transcript.add(">", b"0123456789" * 100)
        transcript.add("<", b"9\n")
    text = transcript.text()
    assert len(text) < 8_000
    assert text.endswith("bytes more]")
