"""A feed's frames, one watch for each submission: who joins and leaves, and where each goes on."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest

from subcli.core.catchup import events_from_log
from subcli.core.feed import POSITIONS_AT_ONCE, Feed, Heard, Item, Joined, Left, News


def listed(*ids: int, cursor: str | None = "9-e", **more: Any) -> dict[str, Any]:
    submissions = [{"submission_id": number, "problem": "p", "language": "python", "epoch": "e"} for number in ids]
    message = {"type": "feed", "submissions": submissions, **more}
    return message if cursor is None else {**message, "cursor": cursor}


def update(number: int, seq: int, status: str = "building", **more: Any) -> dict[str, Any]:
    return {"type": "status_update", "submission_id": number, "seq": seq, "status": status, **more}


def complete(number: int, seq: int, final_status: str = "passed") -> dict[str, Any]:
    return {"type": "complete", "submission_id": number, "seq": seq, "final_status": final_status}


def hear(feed: Feed, *messages: dict[str, Any] | str | bytes) -> Heard:
    return feed.receive_all(deque(each if isinstance(each, str | bytes) else json.dumps(each) for each in messages))


def told(items: Heard) -> list[object]:
    return [short(item) for item in items.items]


def short(item: Item) -> object:
    number = item.watch.submission_id
    match item:
        case Joined():
            return f"+{number}"
        case News(_, events):
            return (number, [event.seq for event in events])
        case Left(_, error):
            return f"-{number}" if error is None else (f"-{number}", error.kind)


def test_joining_and_leaving() -> None:
    """What is announced joins, with what the list says about it; with its verdict it leaves."""
    feed = Feed(lambda number: f"http://judge/{number}")
    heard = hear(feed, listed(3, 4), update(3, 1, epoch="e"), update(3, 2), update(4, 1), complete(3, 3))
    assert told(heard) == ["+3", "+4", (3, [1, 2]), (4, [1]), (3, [3]), "-3"]
    assert heard.progress
    assert list(feed.watches) == [4]
    snapshot = feed.watches[4].snapshot()
    assert (snapshot.problem, snapshot.language, snapshot.url) == ("p", "python", "http://judge/4")
    assert not feed.is_over
    assert told(hear(feed, complete(4, 2))) == [(4, [2]), "-4"]
    assert feed.is_over
    assert feed.joined == 2


def test_end_is_known_only_with_the_whole_list() -> None:
    """Nothing is over before the first list is complete: the rest of it may follow."""
    feed = Feed()
    assert not feed.is_over
    hear(feed, listed(3, cursor=None, more=True), complete(3, 1))
    assert (feed.cursor, feed.is_over) == (None, False)
    hear(feed, listed(4))
    assert (feed.cursor, feed.is_over) == ("9-e", False)
    hear(feed, listed(5, cursor="7-e", more=True))
    assert feed.cursor == "9-e"
    empty = Feed()
    assert told(hear(empty, listed())) == []
    assert empty.is_over


def test_nothing_comes_twice() -> None:
    """Events and submissions that were seen are dropped, whatever has become of them."""
    feed = Feed()
    hear(feed, listed(3, 4), update(3, 1), update(4, 1), complete(4, 2))
    again = hear(feed, listed(3, 4), update(3, 1), complete(4, 2), update(3, 2))
    assert told(again) == [(3, [2])]
    assert again.fault is None
    assert feed.joined == 2


def test_list_that_begins_again_names_another_log() -> None:
    """A list that was interrupted comes again; a submission whose log has another name then leaves."""
    feed = Feed()
    hear(feed, listed(3, cursor=None, more=True))
    other = {"type": "feed", "submissions": [{"submission_id": 3, "epoch": "other"}], "cursor": "3-other"}
    heard = hear(feed, other)
    assert told(heard) == [("-3", "server")]
    assert isinstance(heard.items[0], Left)
    assert "`subcli status 3`" in str(heard.items[0].error and heard.items[0].error.hint)


@pytest.mark.parametrize(
    ("code", "kind"), [(4004, "not_found"), (4010, "server"), (4999, "server"), ("x", "server"), (None, "server")]
)
def test_dropped(code: object, kind: str) -> None:
    """A submission that the server follows no more leaves with an error; one that is not followed is ignored."""
    feed = Feed()
    hear(feed, listed(3))
    dropped = {"type": "dropped", "submission_id": 3, "code": code, "reason": "because"}
    assert told(hear(feed, {**dropped, "submission_id": 5})) == []
    assert told(hear(feed, dropped, dropped)) == [("-3", kind)]
    assert feed.is_over


def test_replaced_log() -> None:
    """Event 1 with another epoch: the submission leaves, and the others go on."""
    feed = Feed()
    heard = hear(feed, listed(3, 4), update(3, 1, epoch="other"), update(4, 1))
    assert told(heard) == ["+3", "+4", ("-3", "server"), (4, [1])]


def test_positions() -> None:
    """Each that is followed tells where it is, a bounded number in a message; who has ended does not."""
    feed = Feed()
    ids = range(1, POSITIONS_AT_ONCE + 3)
    hear(feed, listed(*ids), {"type": "feed", "submissions": [{"submission_id": 9000}]})
    hear(feed, update(1, 1), update(1, 2), complete(2, 1))
    first, second = map(json.loads, feed.positions())
    assert first["type"] == "follow"
    assert first["submissions"][:2] == [
        {"submission_id": 1, "after_seq": 2, "epoch": "e"},
        {"submission_id": 3, "after_seq": 0, "epoch": "e"},
    ]
    assert len(first["submissions"]) == POSITIONS_AT_ONCE
    assert second["submissions"][-1] == {"submission_id": 9000, "after_seq": 0}
    assert ("runs" in first, second["runs"]) == (False, None)
    assert max(len(text) for text in feed.positions()) < 64 * 1024


def test_positions_fit_into_a_message() -> None:
    """Even the largest ones, with the longest names that our server gives, and where the output is."""
    feed = Feed(output=True)
    largest = [{"submission_id": 2**63 - 1 - each, "epoch": "e" * 32} for each in range(POSITIONS_AT_ONCE)]
    hear(feed, {"type": "feed", "submissions": largest})
    for watch in feed.watches.values():
        watch.last_seq = watch.last_output = 2**53 - 1
    message, _ = feed.positions()
    assert '"output_after":9007199254740991' in message
    assert len(message) <= 64 * 1024


# -- judged again ---------------------------------------------------------------------------------

FIRST, SECOND = (f"{'5' * 16}{run}" for run in ("", "000000aa"))


def run_of(number: int, epoch: str, **more: Any) -> dict[str, Any]:
    return {"type": "feed", "submissions": [{"submission_id": number, "epoch": epoch}], "cursor": "9-e", **more}


def test_judged_again() -> None:
    """Who has left joins again under the name of another run's log, from its beginning, and not under the same one."""
    feed = Feed()
    hear(feed, run_of(3, FIRST), update(3, 1, epoch=FIRST), complete(3, 2, "failed"))
    assert feed.is_over
    assert told(hear(feed, run_of(3, FIRST, runs=4))) == []
    heard = hear(feed, run_of(3, SECOND, runs=5), update(3, 1, epoch=SECOND))
    assert told(heard) == ["+3", (3, [1])]
    assert (heard.progress, feed.is_over, feed.joined, feed.runs) == (True, False, 2, 5)
    [message] = feed.positions()
    assert json.loads(message) == {
        "type": "follow",
        "submissions": [{"submission_id": 3, "after_seq": 1, "epoch": SECOND}],
        "runs": 5,
    }
    assert told(hear(feed, complete(3, 2))) == [(3, [2]), "-3"]
    assert told(hear(feed, run_of(3, SECOND))) == []


@pytest.mark.parametrize("epoch", ["other", None, ""])
def test_another_log_is_no_other_run(epoch: str | None) -> None:
    """Neither a submission that got the id of one that has left, after a restored backup, nor a name that is none."""
    feed = Feed()
    hear(feed, run_of(3, FIRST), complete(3, 1))
    again = run_of(3, SECOND)
    again["submissions"][0]["epoch"] = epoch
    assert told(hear(feed, again)) == []


def test_announced_before_the_end_of_the_run_before() -> None:
    """The rest of that run is read from its log; the next one joins then, and is read from its beginning."""
    feed = Feed()
    hear(feed, run_of(3, FIRST), update(3, 1, epoch=FIRST))
    assert told(hear(feed, run_of(3, SECOND), update(3, 1, epoch=SECOND), update(3, 2))) == []
    assert feed.holes == {3}
    ended = feed.fill(3, events_from_log([update(3, 2), complete(3, 3)]), FIRST, 3)
    assert told(ended) == [(3, [2, 3]), "-3", "+3"]
    assert feed.holes == {3}
    assert told(feed.fill(3, events_from_log([update(3, 1), update(3, 2)]), SECOND, 2)) == [(3, [1, 2])]
    assert told(hear(feed, update(3, 2), complete(3, 3))) == [(3, [3]), "-3"]


def test_run_before_without_an_end() -> None:
    """If its log cannot be found, it leaves without a verdict, and the next one joins all the same."""
    feed = Feed()
    hear(feed, run_of(3, FIRST), update(3, 1, epoch=FIRST), run_of(3, SECOND))
    assert told(feed.fill(3, (), FIRST, 1)) == [("-3", "server"), "+3"]


def test_connection_lost_before_the_end_of_the_run_before() -> None:
    """The next connection brings the rest of it, and announces the next run again."""
    feed = Feed()
    hear(feed, run_of(3, FIRST), update(3, 1, epoch=FIRST), run_of(3, SECOND))
    feed.disconnected()
    assert told(hear(feed, complete(3, 2), run_of(3, SECOND))) == [(3, [2]), "-3", "+3"]


@pytest.mark.parametrize("runs", [None, "5", -1, 1.5, True, 2**63])
def test_numbers_of_runs_that_are_none(runs: object) -> None:
    """They leave the number that is known."""
    feed = Feed()
    hear(feed, listed(runs=4), listed(runs=runs))
    assert feed.runs == 4


def test_hole() -> None:
    """Early events are held until the log has filled the hole; meanwhile the others go on."""
    feed = Feed()
    heard = hear(feed, listed(3, 4), update(3, 3), update(4, 1))
    assert told(heard) == ["+3", "+4", (4, [1])]
    assert feed.holes == {3}
    filled = feed.fill(3, events_from_log([update(3, 1), update(3, 2)]), "e", 2)
    assert told(filled) == [(3, [1, 2, 3])]
    assert filled.progress
    assert not feed.holes
    assert told(feed.fill(99, (), None, None)) == []


def test_hole_that_shows_another_log() -> None:
    """The log that should fill a hole has another name: the submission leaves."""
    feed = Feed()
    hear(feed, listed(3), update(3, 3))
    assert told(feed.fill(3, (), "other", 1)) == [("-3", "server")]
    assert not feed.holes


def test_lost_connection() -> None:
    """What came too early is forgotten: the next connection brings it again, after what is missing."""
    feed = Feed()
    hear(feed, listed(3), update(3, 2))
    feed.disconnected()
    assert not feed.holes
    [message] = feed.positions()
    assert json.loads(message)["submissions"] == [{"submission_id": 3, "after_seq": 0, "epoch": "e"}]
    assert told(hear(feed, update(3, 1), update(3, 2))) == [(3, [1, 2])]


@pytest.mark.parametrize(
    "frame",
    [
        "{",
        b"\x00",
        '{"type": "feed"}',
        '{"type": "feed", "submissions": {}}',
        '{"type": "status_update", "status": "building"}',
        '{"type": "status_update", "status": "building", "submission_id": 77}',
        '{"type": "status_update", "status": "building", "submission_id": "3"}',
    ],
)
def test_faults(frame: str | bytes) -> None:
    """An invalid frame, or one about a submission that is not followed, is counted; what follows is left for later."""
    feed = Feed()
    frames: deque[str | bytes] = deque([json.dumps(listed(3)), frame, json.dumps(update(3, 1))])
    heard = feed.receive_all(frames)
    assert heard.fault
    assert told(heard) == ["+3"]
    assert told(feed.receive_all(frames)) == [(3, [1])]


def test_odd_entries_of_a_list() -> None:
    """What cannot be followed is left out of a list; odd fields are left out of an entry."""
    feed = Feed()
    odd: list[object] = [1, {}, {"submission_id": "3"}, {"submission_id": 0}, {"submission_id": 2**63}]
    fine = {"submission_id": 3, "problem": 5, "language": None, "epoch": ""}
    assert told(hear(feed, {"type": "feed", "submissions": [*odd, fine], "cursor": 5})) == ["+3"]
    assert feed.watches[3].epoch is None
    assert feed.cursor is None


def test_bare_texts() -> None:
    """A bare ping wants its pong at once; a pong is nothing; a message of an unknown type is shown."""
    feed = Feed()
    frames: deque[str | bytes] = deque([json.dumps(listed(3)), "pong", "ping", json.dumps(update(3, 1))])
    heard = feed.receive_all(frames)
    assert (heard.reply, told(heard)) == ("pong", ["+3"])
    heard = hear(feed, *map(str, frames), {"type": "news", "submission_id": 3, "seq": 2})
    assert told(heard) == [(3, [1, 2])]


def test_adopting() -> None:
    """Without a feed, what runs according to the list of submissions joins, oldest first."""
    feed = Feed()
    hear(feed, listed(3))
    rows = [
        {"submission_id": 6, "status": "testing", "final_status": "passed"},
        {"submission_id": 5, "status": "completed"},
        {"submission_id": 4, "status": "testing", "problem": "p", "final_status": None},
        {"submission_id": 3, "status": "pending"},
        {"submission_id": 2, "status": "pending"},
    ]
    assert [short(item) for item in feed.adopt(rows)] == ["+2", "+4"]


def test_who_is_behind() -> None:
    """Those of which the list of submissions has seen more than we have."""
    feed = Feed()
    hear(feed, listed(3, 4, 5), update(3, 1), update(4, 1))
    rows = [{"submission_id": 3, "last_seq": 2}, {"submission_id": 4, "last_seq": 1}, {"submission_id": 5}]
    assert feed.behind([*rows, {"submission_id": 9, "last_seq": 5}]) == [3]
