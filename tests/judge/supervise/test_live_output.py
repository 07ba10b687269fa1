"""What is printed is told while it is printed: joined, cut at characters, and bounded in time and in all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from subcli.judge.job import OutputLimits
from subcli.judge.supervise.live_output import TURN_S, LiveOutput, size
from tests.server.clock import VirtualTimeLoop

MB = 1024 * 1024


class Bed:
    """What was told, and when."""

    def __init__(
        self,
        total_bytes: int = MB,
        bytes_per_s: int = MB,
        strip: Callable[[str], str] = lambda text: text,
    ) -> None:
        self.told: list[dict[str, Any]] = []
        self.unread = 0
        self.output = LiveOutput(OutputLimits(total_bytes, bytes_per_s), self.told.append, strip, lambda: self.unread)

    def text(self, **fields: str) -> str:
        return "".join(each["text"] for each in self.told if fields.items() <= each.items())


def run(play: Callable[[], Any]) -> None:
    """Run a coroutine function where sleeping takes no time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play())


def test_what_comes_at_once_is_joined() -> None:
    """An event for each stream of each test, a tenth of a second later at most."""

    async def play() -> None:
        bed = Bed()
        for word in (b"one\n", b"two\n", b"three\n"):
            bed.output.add(word, "stdout", "t1")
        bed.output.add(b"no\n", "stderr", "t1")
        bed.output.add(b"other\n", "stdout", "t2", "n1")
        assert bed.told == []
        await asyncio.sleep(TURN_S)
        assert bed.told == [
            {"type": "output", "test_id": "t1", "stream": "stdout", "text": "one\ntwo\nthree\n"},
            {"type": "output", "test_id": "t1", "stream": "stderr", "text": "no\n"},
            {"type": "output", "test_id": "t2", "node": "n1", "stream": "stdout", "text": "other\n"},
        ]

    run(play)


def test_an_unfinished_line_waits_a_turn() -> None:
    """It may be finished by then; a prompt is not."""

    async def play() -> None:
        bed = Bed()
        bed.output.add(b"whole\nhalf", "stdout", "t1")
        await asyncio.sleep(TURN_S)
        assert bed.text() == "whole\n"
        bed.output.add(b" and more\nname? ", "stdout", "t1")
        await asyncio.sleep(TURN_S)
        assert bed.text() == "whole\nhalf and more\n"
        await asyncio.sleep(TURN_S)
        assert bed.text() == "whole\nhalf and more\nname? "
        told = len(bed.told)
        await asyncio.sleep(10 * TURN_S)
        assert len(bed.told) == told

    run(play)


@pytest.mark.parametrize("piece", range(1, 8))
def test_characters_are_never_cut(piece: int) -> None:
    """However the bytes arrive; what is not UTF-8 becomes escapes."""
    whole = "äß€🙂 end".encode() + b"\xff\xfe!"

    async def play() -> None:
        bed = Bed()
        for start in range(0, len(whole), piece):
            bed.output.add(whole[start : start + piece], "stdout", "t1")
            await asyncio.sleep(TURN_S * (start % 3))
        bed.output.tell(ended="t1")
        assert bed.text() == "äß€🙂 end\\xff\\xfe!"

    run(play)


def test_paths_are_removed_across_writes() -> None:
    """A line is told as a whole, so a path that is written in two parts is removed."""

    async def play() -> None:
        bed = Bed(strip=lambda text: text.replace("/tmp/work/", ""))
        bed.output.add(b"in /tmp/wo", "build")
        await asyncio.sleep(TURN_S)
        bed.output.add(b"rk/main.c\n", "build")
        await asyncio.sleep(TURN_S)
        assert bed.text() == "in main.c\n"

    run(play)


def test_a_flood_is_bounded_by_the_second() -> None:
    """What exceeds the budget is counted, and a marker says how much it was. Memory holds a second's budget at most."""

    async def play() -> None:
        bed = Bed(total_bytes=100 * MB, bytes_per_s=10_000)
        line = b"x" * 99 + b"\n"
        for _ in range(100):
            for _ in range(10):
                bed.output.add(line * 100, "stdout", "t1")
                assert bed.output.held_bytes < 20_000
            await asyncio.sleep(TURN_S)
        bed.output.tell(ended="t1")
        # Ten seconds, and what may be held when they begin.
        assert 50_000 < len(bed.text()) < 130_000
        assert bed.text().count("not shown") <= 21
        left = [line for line in bed.text().split("\n") if "not shown" not in line]
        assert all(len(line) <= 99 and line.strip("x") == "" for line in left)

    run(play)


def test_a_loud_test_leaves_some_for_the_others() -> None:
    """Each gets half of what is left when it begins to print; the marker stands at its end."""

    async def play() -> None:
        bed = Bed(total_bytes=40_000, bytes_per_s=MB)
        for number in range(1, 4):
            for _ in range(100):
                bed.output.add(b"y" * 9_999 + b"\n", "stdout", f"t{number}")
            await asyncio.sleep(TURN_S)
            bed.output.tell(ended=f"t{number}")
        sizes = [len(bed.text(test_id=f"t{number}")) for number in range(1, 4)]
        assert 15_000 < sizes[0] < 25_000
        assert 7_000 < sizes[1] < 15_000
        assert 3_000 < sizes[2] < 9_000
        assert bed.text(test_id="t1").endswith("y\n[... 980 KB not shown ...]\n")
        assert sum(len(json.dumps(each)) for each in bed.told) < 50_000

    run(play)


def test_all_of_a_hundred_megabytes_is_counted() -> None:
    """And only what the budget allows is kept, in memory and on the wire."""

    async def play() -> None:
        bed = Bed(total_bytes=MB, bytes_per_s=64 * 1024)
        chunk = b"z" * 64 * 1024
        for _ in range(100 * MB // len(chunk)):
            bed.output.add(chunk, "stdout", "t1")
            assert bed.output.held_bytes <= 128 * 1024
        bed.output.close()
        assert sum(len(json.dumps(each)) for each in bed.told) < 150 * 1024
        assert bed.text().endswith("[... 105 MB not shown ...]\n")

    run(play)


@pytest.mark.parametrize("byte", [b"\x1b", b"\xff", "é".encode(), "🙂".encode()])
def test_the_budget_counts_what_the_events_take(byte: bytes) -> None:
    """Escapes in JSON too."""

    async def play() -> None:
        bed = Bed(total_bytes=100_000, bytes_per_s=10 * MB)
        bed.output.add(byte * (MB // len(byte)), "stdout", "t1")
        bed.output.close()
        assert 40_000 < sum(len(json.dumps(each)) for each in bed.told) < 90_000

    run(play)


def test_nothing_piles_up_for_a_server_that_does_not_read() -> None:
    """While too much is unread, what is printed is thrown away and counted."""

    async def play() -> None:
        bed = Bed()
        bed.unread = 10 * MB
        bed.output.add(b"lost\n", "stdout", "t1")
        await asyncio.sleep(TURN_S)
        assert bed.told == []
        bed.unread = 0
        bed.output.add(b"seen\n", "stdout", "t1")
        await asyncio.sleep(TURN_S)
        assert bed.text() == "[... 5 bytes not shown ...]\nseen\n"

    run(play)


def test_what_others_have_left_out_counts() -> None:
    """As where a file grows faster than it is read."""

    async def play() -> None:
        bed = Bed()
        bed.output.add("half of an é".encode()[:-1], "stderr", "1", skipped=1_500_001)
        bed.output.add(b"\xa9 and on\n", "stderr", "1")
        bed.output.close()
        assert bed.text() == "half of an \n[... 2 MB not shown ...]\n and on\n"

    run(play)


def test_an_event_is_small() -> None:
    """Long output comes in several events, each far below what a message may have."""

    async def play() -> None:
        bed = Bed()
        bed.output.add(b"\x01" * 30_000, "stdout", "t1")
        bed.output.close()
        assert len(bed.told) > 5
        assert all(len(json.dumps(each)) < 24_000 for each in bed.told)

    run(play)


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "1 byte"), (999, "999 bytes"), (12_000, "12 KB"), (12_300_000, "12 MB"), (3 * 10**9, "3 GB")],
)
def test_sizes_are_rounded(count: int, words: str) -> None:
    """As people write them."""
    assert size(count) == words
