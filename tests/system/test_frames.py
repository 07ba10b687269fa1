"""Section 7 of the contract over real sockets: frames that are too large, broken, foreign, doubled or missing."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.hang import HANG_S

from .command import Commands
from .scripted import (
    BINARY,
    CLOSE,
    LOG,
    TEXT,
    Answer,
    Request,
    Rest,
    Wire,
    event,
    finish,
    scripted,
    some,
    staying,
)
from .timing import GRACE_S
from .watching import check_all_seen, check_failed, watch

pytestmark = pytest.mark.side_by_side


# -- frames -----------------------------------------------------------------------------------------


async def test_frame_over_one_mebibyte_is_refused(command: Commands) -> None:
    """A frame over 1 MiB is refused with 1009; a second time at the same place the socket is given up."""
    closes: list[bytes] = []

    async def huge(wire: Wire) -> None:
        await some(2)(wire)
        await wire.frame(TEXT, b'{"type":"test_result","x":"' + b"x" * (1 << 20) + b'"}')
        while not closes or len(closes) < len(server.connects):
            opcode, payload = await wire.read()
            if opcode == CLOSE:
                closes.append(payload[:2])
        await wire.stay()

    def first(request: Request) -> Answer | None:
        # The log has the verdict only once the socket was given up.
        is_log = request.path == "/api/submissions/1/events"
        return Answer(200, {"events": LOG[2:]}) if is_log and len(server.connects) == 2 and len(closes) == 2 else None

    async with scripted(huge, rest=Rest(first=first)) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    assert closes == [b"\x03\xf1"] * 2


@pytest.mark.thorough
async def test_frame_of_one_mebibyte_is_accepted(command: Commands) -> None:
    """A frame of exactly 1 MiB is read."""

    async def large(wire: Wire) -> None:
        await some(3)(wire)
        head, tail = b'{"type":"note","seq":4,"x":"', b'"}'
        await wire.frame(TEXT, head + b"x" * ((1 << 20) - len(head) - len(tail)) + tail)
        await wire.text(LOG[4], LOG[5])
        await wire.close(1000)

    async with scripted(large) as server:
        check_all_seen(await watch(command, server), server, connects=1)


NONSENSE = [
    "{",
    "[]",
    "null",
    '"text"',
    "{}",
    '{"type": 7}',
    "[" * 100_000,
    '{"type":"test_result","submission_id":1,"seq":4}',
    '{"type":"complete","submission_id":1,"seq":4}',
    '{"type":"complete","submission_id":2,"seq":4,"final_status":"failed"}',
    '{"type":"status_update","submission_id":"2","seq":4,"status":"failed"}',
]


async def test_invalid_messages_are_ignored(command: Commands) -> None:
    """Invalid JSON, binary frames, incomplete messages and those of another submission are ignored."""

    async def babbling(wire: Wire) -> None:
        await some(3)(wire)
        await wire.text(*NONSENSE)
        await wire.frame(BINARY, b"\x00\xff")
        await wire.text(*LOG[3:])
        await wire.close(1000)

    async with scripted(babbling) as server:
        check_all_seen(await watch(command, server), server, connects=1)


async def test_twenty_bad_frames_give_up_the_socket(command: Commands) -> None:
    """Twenty bad frames in a row give up the socket; nineteen do not."""

    async def babbling(wire: Wire) -> None:
        await some(1)(wire)
        for _ in range(19):
            await wire.frame(BINARY, b"\x00")
        await wire.text(LOG[1])
        for _ in range(20):
            await wire.text("nonsense")
        await wire.stay()

    async with scripted(babbling, rest=Rest(log=LOG)) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=1)
    assert "polling" in done.states()


@pytest.mark.parametrize(
    "broken",
    [b"\xf1\x00", b"\x81\x85abcdefghi", b"\x81\x80abcd", b"\x81\x02\xff\xfe", b"\x88\x01\x00"],
    ids=["reserved bits", "masked", "masked and empty", "not UTF-8", "close frame too short"],
)
async def test_protocol_violation_breaks_the_connection(command: Commands, broken: bytes) -> None:
    """Bytes that break RFC 6455 end the connection at once, although the server keeps it open; the next one resumes."""

    async def violate(wire: Wire) -> None:
        await some(3)(wire)
        await wire.raw(broken)
        await wire.stay()

    async with scripted(violate, finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    assert server.left[0] - server.connects[0].at <= done.allowance_s


async def test_fragmented_and_slow_messages(command: Commands) -> None:
    """A message in fragments, and one that arrives byte by byte, are read like any other."""

    async def dribble(wire: Wire) -> None:
        await some(3)(wire)
        whole = b'{"type":"note","seq":4,"submission_id":1}'
        await wire.frame(TEXT, whole[:7], fin=False)
        await wire.frame(0, whole[7:20], fin=False)
        await wire.frame(9, b"a ping in between")
        await wire.frame(0, whole[20:])
        for byte in b"\x81\x29" + b'{"type":"note","seq":5,"submission_id":1}':
            await wire.raw(bytes([byte]))
            await asyncio.sleep(0.002)
        await wire.text(LOG[5])
        await wire.close(1000)

    async with scripted(dribble) as server:
        check_all_seen(await watch(command, server), server, connects=1)


async def test_duplicates_and_gaps(command: Commands) -> None:
    """Events that arrive twice or late are shown once and in order; missing ones are fetched."""

    async def disordered(wire: Wire) -> None:
        await wire.accept()
        await wire.text(LOG[0], LOG[0], LOG[3], LOG[1], LOG[3], LOG[2], LOG[4], LOG[0], LOG[5], LOG[5])
        await wire.close(1000)

    async with scripted(disordered, rest=Rest(log=LOG[:4])) as server:
        check_all_seen(await watch(command, server), server, connects=1)
    asked = [request.query("after_seq") for request in server.asked("GET", "/api/submissions/1/events")]
    assert asked == ["1"]


@pytest.mark.thorough
async def test_unknown_type_and_verdict(command: Commands) -> None:
    """An unknown type passes through with all its fields; an unknown verdict counts as failed."""

    async def strange(wire: Wire) -> None:
        await wire.accept()
        await wire.text(event(1, "hint", words=["a"], deep={"x": [1, None]}), event(2, "complete", final_status="odd"))
        await wire.close(1000)

    async with scripted(strange) as server:
        done = await watch(command, server)
    assert done.code == 1
    assert done.of("hint")[0]["deep"] == {"x": [1, None]}
    assert done.last["final_status"] == "odd"


# -- staying within the limits ----------------------------------------------------------------------


@pytest.mark.thorough(measured=True)
async def test_timeout_includes_submitting(command: Commands) -> None:
    """--timeout ends a watch, a submit, and a submit whose POST hangs, within half a second: exit 7."""
    (command.cwd / "b.py").write_text("pass")
    timeout_s = 5  # enough to start and submit on a busy machine
    async with scripted(some(1, staying)) as server:
        at = ("--json", "--timeout", str(timeout_s), "--server", server.url)
        watched = await command("watch", "1", *at)
        submitted = await command("submit", "b.py", "--problem", "1", *at)
    check_failed(watched, 7, "timeout", "subcli watch 1")
    check_failed(submitted, 7, "timeout", "subcli watch 1")
    hanging = Rest(first=lambda request: Answer(hang=True) if request.method == "POST" else None)
    async with scripted(rest=hanging) as server:
        at = ("--json", "--timeout", str(timeout_s), "--server", server.url)
        hung = await command("submit", "b.py", "--problem", "1", *at)
    check_failed(hung, 7, "timeout", "subcli list")
    for done in (watched, submitted, hung):
        assert done.took >= timeout_s
        assert done.idle_s <= timeout_s + GRACE_S


async def test_ten_thousand_events_at_once(command: Commands) -> None:
    """Ten thousand events at once are all shown, and a ping among them is answered."""
    many = [event(seq, "test_result", test_name=f"t{seq}", status="passed") for seq in range(1, 10_001)]
    ponged = False

    async def flood(wire: Wire) -> None:
        nonlocal ponged
        await wire.accept()
        await wire.text(*many[:5000], "ping", *many[5000:])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HANG_S):
                while not ponged:
                    ponged = await wire.read() == (TEXT, b"pong")
        await wire.text(event(10_001, "complete", final_status="passed"))
        await wire.close(1000)

    async with scripted(flood) as server:
        done = await watch(command, server)
    assert done.code == 0
    assert done.seqs == list(range(1, 10_002))
    assert ponged
