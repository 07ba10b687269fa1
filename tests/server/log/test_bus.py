"""The tail of a submission, and who is told of what is published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from subcli.server.log.bus import MAX_RELAYED_BYTES, Channel, MemoryBus
from subcli.server.log.records import LogEnd, Record, record

SUBMISSION = 7


def event(seq: int, *, text: str = "x" * 8, last: bool = False, epoch: str | None = "a") -> Record:
    return record(seq, text, last=last, epoch=epoch)


def seqs(records: Sequence[Record] | None) -> list[int] | None:
    return None if records is None else [each.seq for each in records]


class Watcher:
    """Notes what it is told."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.taken: list[list[int]] = []
        self.frames: list[bytes] = []
        self.woken = 0

    def take(self, records: Sequence[Record], frames: bytes) -> bool:
        if self.takes:
            self.taken.append([each.seq for each in records])
            self.frames.append(frames)
        return self.takes

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(tail_records=4, tail_bytes=100)


@pytest.fixture
def channel(bus: MemoryBus) -> Iterator[Channel]:
    with bus.subscribe(SUBMISSION) as channel:
        yield channel


def test_what_nobody_watches_is_not_kept(bus: MemoryBus) -> None:
    """Nor is it known how far it reaches. What several watch is forgotten when the last one leaves."""
    bus.publish(SUBMISSION, [event(1)])
    bus.hint(SUBMISSION, 9)
    bus.compare(SUBMISSION, 5, LogEnd(3, "a"))
    assert (bus.head(SUBMISSION), bus.watched(), bus.is_watched(SUBMISSION)) == (0, [], False)
    with bus.subscribe(SUBMISSION) as one:
        with bus.subscribe(SUBMISSION) as other:
            assert one is other
        bus.publish(SUBMISSION, [event(1)])
        assert (bus.head(SUBMISSION), bus.watched(), bus.is_watched(SUBMISSION)) == (1, [SUBMISSION], True)
    assert bus.watched() == []


def test_parked_watchers_get_what_is_published(bus: MemoryBus, channel: Channel) -> None:
    """Each what it lacks, in one piece, those at one position the same bytes; whoever leaves gets no more."""
    one, same, behind = Watcher(), Watcher(), Watcher()
    for watcher in (one, same):
        assert channel.park(0, watcher)
    bus.publish(SUBMISSION, [event(1)])
    bus.publish(SUBMISSION, [event(2), event(3)])
    channel.leave(same)
    channel.leave(behind)
    bus.publish(SUBMISSION, [event(4)])
    assert (one.taken, same.taken) == ([[1], [2, 3], [4]], [[1], [2, 3]])
    assert one.frames[:2] == [event(1).frame, event(2).frame + event(3).frame]
    assert one.frames[1] is same.frames[1]
    assert (one.woken, same.woken) == (0, 0)


def test_watchers_at_different_positions(bus: MemoryBus, channel: Channel) -> None:
    """One that asks for what comes much later is not told of what comes before."""
    now, later = Watcher(), Watcher()
    assert channel.park(0, now)
    assert channel.park(2, later)
    bus.publish(SUBMISSION, [event(1), event(2)])
    bus.publish(SUBMISSION, [event(3)])
    assert (now.taken, later.taken) == ([[1, 2], [3]], [[3]])


def test_watcher_that_cannot_take_is_woken_once(bus: MemoryBus, channel: Channel) -> None:
    """It is no longer parked, and finds what was published in the tail."""
    full, other = Watcher(takes=False), Watcher()
    channel.park(0, full)
    channel.park(0, other)
    bus.publish(SUBMISSION, [event(1)])
    bus.publish(SUBMISSION, [event(2)])
    assert (full.woken, other.woken) == (1, 0)
    assert (seqs(channel.after(0)), other.taken) == ([1, 2], [[1], [2]])


def test_nobody_parks_where_there_is_something_to_read(bus: MemoryBus, channel: Channel) -> None:
    """Events in the tail, a head beyond it, or the end."""
    bus.publish(SUBMISSION, [event(1)])
    assert not channel.park(0, Watcher())
    assert channel.park(1, Watcher())
    bus.hint(SUBMISSION, 2)
    assert not channel.park(1, Watcher())
    bus.publish(SUBMISSION, [event(2, last=True)])
    assert not channel.park(2, Watcher())
    # Whoever has read the last event asks the log, which says that it is complete.
    assert (seqs(channel.after(1)), channel.after(2)) == ([2], None)


def test_hint_wakes_those_it_is_news_to(bus: MemoryBus, channel: Channel) -> None:
    """What was announced without its text is in the log."""
    behind, ahead = Watcher(), Watcher()
    channel.park(0, behind)
    channel.park(5, ahead)
    bus.hint(SUBMISSION, 5)
    bus.hint(SUBMISSION, 4)
    assert (behind.woken, behind.taken, ahead.woken, bus.head(SUBMISSION)) == (1, [], 0, 5)
    assert (channel.after(0), seqs(channel.after(5))) == (None, [])


def test_tail_keeps_so_many_records(bus: MemoryBus, channel: Channel) -> None:
    """The latest ones; whoever needs more reads the log."""
    for number in range(1, 7):
        bus.publish(SUBMISSION, [event(number)])
    assert (seqs(channel.after(2)), channel.after(1)) == ([3, 4, 5, 6], None)
    bus.publish(SUBMISSION, [event(number) for number in range(7, 12)])
    assert (seqs(channel.after(7)), channel.after(6)) == ([8, 9, 10, 11], None)


def test_tail_keeps_so_many_bytes(bus: MemoryBus, channel: Channel) -> None:
    """Up to the limit, and the latest record however long it is."""
    half = "x" * 48  # with the head of its frame, half of what is kept
    bus.publish(SUBMISSION, [event(1, text=half), event(2, text=half)])
    assert seqs(channel.after(0)) == [1, 2]
    bus.publish(SUBMISSION, [event(3, text="")])
    assert (channel.after(0), seqs(channel.after(1))) == (None, [2, 3])
    bus.publish(SUBMISSION, [event(4, text="x" * 1000)])
    assert (channel.after(2), seqs(channel.after(3))) == (None, [4])
    # What was dropped no longer counts.
    bus.publish(SUBMISSION, [event(5, text=half), event(6, text=half)])
    assert (channel.after(3), seqs(channel.after(4))) == (None, [5, 6])


def test_what_is_much_at_once_is_not_handed_out(channel: Channel) -> None:
    """Those that are parked ask for it piece by piece."""
    bus = MemoryBus()
    for size, is_handed in ((MAX_RELAYED_BYTES - 4, True), (MAX_RELAYED_BYTES - 3, False)):
        watcher = Watcher()
        with bus.subscribe(size) as channel:
            channel.park(0, watcher)
            bus.publish(size, [event(1, text="x" * size)])
            assert len(event(1, text="x" * size).frame) == size + 4
        assert (watcher.taken, watcher.woken) == (([[1]], 0) if is_handed else ([], 1))


def test_what_is_published_twice_is_told_once(bus: MemoryBus, channel: Channel) -> None:
    """Or late, after what follows it."""
    watcher = Watcher()
    channel.park(0, watcher)
    bus.publish(SUBMISSION, [event(1), event(2)])
    bus.publish(SUBMISSION, [event(1), event(2), event(3)])
    bus.publish(SUBMISSION, [event(2)])
    assert (watcher.taken, watcher.woken) == ([[1, 2], [3]], 0)
    assert (seqs(channel.after(0)), channel.version) == ([1, 2, 3], 0)


def test_tail_begins_anew_after_a_gap(bus: MemoryBus, channel: Channel) -> None:
    """What is missing is in the log, and the limits count what is there."""
    watcher = Watcher()
    channel.park(0, watcher)
    bus.publish(SUBMISSION, [event(1, text="x" * 90)])
    bus.publish(SUBMISSION, [event(3, text="x" * 40), event(4, text="x" * 40)])
    assert (watcher.taken, watcher.woken, bus.head(SUBMISSION)) == ([[1]], 1, 4)
    assert (channel.after(1), seqs(channel.after(2)), channel.version) == (None, [3, 4], 0)


@pytest.mark.parametrize(
    ("published", "is_another"),
    [
        (event(2, text="judged again"), True),
        (event(3, epoch="b"), True),
        (event(3, epoch=None), False),
        (event(2, epoch=None), False),
        (event(9, text="judged again"), False),
    ],
    ids=["another text", "another name", "no name", "no name, known", "too far to know"],
)
def test_log_that_was_replaced_is_noticed(
    bus: MemoryBus, channel: Channel, published: Record, *, is_another: bool
) -> None:
    """Everybody is woken to ask the log which of the two it follows, and nothing of the old one is kept."""
    bus.publish(SUBMISSION, [event(1), event(2)])
    watcher = Watcher()
    channel.park(2, watcher)
    bus.publish(SUBMISSION, [published])
    assert channel.version == is_another
    if is_another:
        assert (watcher.woken, watcher.taken, channel.after(0)) == (1, [], None)
        assert (bus.head(SUBMISSION), seqs(channel.after(published.seq - 1))) == (published.seq, [published.seq])


def test_comparison_with_the_log(bus: MemoryBus, channel: Channel) -> None:
    """It may reach further, have another name, or end before what it must have: then it is another one."""
    bus.publish(SUBMISSION, [event(1), event(2)])
    watcher = Watcher()
    channel.park(2, watcher)
    bus.compare(SUBMISSION, 2, LogEnd(2, "a"))
    assert (channel.version, watcher.woken) == (0, 0)
    bus.compare(SUBMISSION, 2, LogEnd(3, "a"))
    assert (channel.version, watcher.woken, bus.head(SUBMISSION)) == (0, 1, 3)
    bus.compare(SUBMISSION, 3, LogEnd(2, "a"))
    assert (channel.version, bus.head(SUBMISSION)) == (1, 2)
    # After that, no name is known that another one could contradict.
    bus.compare(SUBMISSION, 2, LogEnd(2, "b"))
    assert channel.version == 1
    bus.compare(SUBMISSION, 2, LogEnd(2, "c"))
    assert (channel.version, bus.head(SUBMISSION)) == (2, 2)


def test_log_that_goes_on_after_it_was_replaced(bus: MemoryBus, channel: Channel) -> None:
    """The end belonged to the old one."""
    bus.publish(SUBMISSION, [event(1), event(2, last=True)])
    bus.publish(SUBMISSION, [event(1, epoch="b")])
    watcher = Watcher()
    assert channel.park(1, watcher)
    bus.publish(SUBMISSION, [event(2, epoch="b")])
    assert watcher.taken == [[2]]


async def test_all_that_is_watched_is_suspect_after_a_while(bus: MemoryBus, channel: Channel) -> None:
    """Within one process nothing is ever lost; comparing costs little."""
    assert await bus.suspects(0) == [SUBMISSION]
    assert channel.watchers == 1
