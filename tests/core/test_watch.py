"""Frames in, events out: seen ones are dropped, early ones held, the rest applied."""

from __future__ import annotations

import itertools
import json
from collections import deque
from typing import Any

import pytest

from subcli.core.submission import FAILURES_KEPT, RECENT_KEPT, STAGES_KEPT, Connection, Counts, Stage
from subcli.core.watch import HELD_MAX, Hole, Received, Watch
from subcli.shared.decoding import from_mapping
from subcli.shared.messages import Complete, Message, StatusUpdate, TestResult

ID = 7


def event(kind: str, seq: int | None = None, **fields: Any) -> Message:
    numbered = {} if seq is None else {"seq": seq}
    return from_mapping({"type": kind, "submission_id": ID, **numbered, **fields})


def status(word: str, seq: int | None = None, **fields: Any) -> Message:
    return event("status_update", seq, status=word, **fields)


def result(name: str, word: str = "passed", seq: int | None = None, **fields: Any) -> Message:
    return event("test_result", seq, test_name=name, status=word, **fields)


def analysis(text: str, seq: int | None = None, **fields: Any) -> Message:
    return event("error_analysis", seq, error="E", analysis=text, **fields)


def complete(word: str = "passed", seq: int | None = None) -> Message:
    return event("complete", seq, final_status=word)


def watch(*events: Message, after_seq: int = 0) -> Watch:
    one = Watch(ID, after_seq=after_seq)
    for each in events:
        one.take(each)
    return one


LOG = [
    status("pending", 1),
    status("building", 2),
    status("testing", 3, total_tests=2),
    result("A", "passed", 4),
    result("B", "failed", 5),
    analysis("why", 6, test_name="B"),
    event("something_new", 7),
    complete("failed", 8),
]


# -- frames -------------------------------------------------------------------------------------------


def test_frame_becomes_event() -> None:
    """The event is shown, counts as progress, and is in the snapshot."""
    one = Watch(ID)
    frame = json.dumps({"type": "test_result", "submission_id": ID, "test_name": "A", "status": "passed", "seq": 1})
    received = one.receive(frame)
    assert [shown.raw for shown in received.events] == [json.loads(frame)]
    assert received.progress
    assert received.reply is received.fault is None
    assert one.snapshot().counts == Counts(passed=1)


def test_frames_are_processed_until_one_asks_for_more() -> None:
    """Those after a fault, a ping, a hole or the verdict stay for the next time."""
    one = Watch(ID)
    told = [status("testing", 1), *(result(name, "passed", seq) for seq, name in enumerate("ABCDE", 2))]
    frames: deque[str | bytes] = deque([json.dumps(each.raw) for each in told])
    frames.insert(3, "ping")
    frames.insert(4, "pong")
    frames.insert(5, "{")
    first, second, third = (one.receive_all(frames) for _ in range(3))
    assert (len(first.events), first.reply, first.progress) == (3, "pong", True)
    assert (second.events, second.fault is None) == ([], False)
    assert ([shown.seq for shown in third.events], third.fault, third.reply) == ([4, 5, 6], None, None)
    assert one.snapshot().counts == Counts(passed=5)
    assert [shown.number for shown in third.events if isinstance(shown, TestResult)] == [2, 3, 4]
    after = (result("G", "passed", 8), complete("passed", 9), result("H", seq=10))
    late: deque[str | bytes] = deque(json.dumps(each.raw) for each in after)
    assert one.receive_all(late).events == []
    assert (one.hole, len(late)) == (Hole(6, 8), 2)


def test_frames_behind_an_event_of_another_log_stay() -> None:
    """Nothing that follows it counts, not even as a fault: the caller must learn of the other log first."""
    one = Watch(ID, after_seq=3, epoch="a")
    frames: deque[str | bytes] = deque()
    for told in (result("A", "passed", 4), event("status_update", 1, status="pending", epoch="b"), complete(seq=5)):
        frames.append(json.dumps(told.raw))
    frames.insert(2, "{")
    received = one.receive_all(frames)
    assert ([shown.seq for shown in received.events], received.fault) == ([4], None)
    assert (one.replaced, len(frames), one.malformed) == (True, 2, 0)


def test_ping_is_answered_and_pong_ignored() -> None:
    """Bare texts are neither events nor faults."""
    one = Watch(ID)
    assert one.receive("pong") == Received([])
    assert one.receive("ping") == Received([], reply="pong")
    assert one.malformed == 0


@pytest.mark.parametrize(
    "frame",
    [
        "{",
        b"\x00",
        '{"type":"complete"}',
        '{"type":"complete","final_status":"passed","submission_id":8}',
        '{"type":"complete","final_status":"passed","submission_id":"07"}',
        '{"type":"complete","final_status":"passed","submission_id":[7]}',
        '{"type":"something_new","submission_id":8}',
    ],
)
def test_invalid_and_foreign_messages_are_counted_and_skipped(frame: str | bytes) -> None:
    """They change nothing but the count."""
    one = Watch(ID)
    received = one.receive(frame)
    assert received.fault
    assert received.fault != "None"
    assert not received.events
    assert not received.progress
    assert one.verdict is None
    assert one.snapshot().malformed == one.malformed == 1
    one.receive(frame)
    assert one.malformed == 2


@pytest.mark.parametrize("submission_id", [7, "7", None])
def test_id_may_be_number_text_or_absent(submission_id: int | str | None) -> None:
    """Servers differ in this."""
    one = Watch(ID)
    one.take(from_mapping({"type": "complete", "final_status": "passed", "submission_id": submission_id}))
    assert one.verdict is not None


# -- events with seq ----------------------------------------------------------------------------------


def test_log_is_shown_once_and_in_order() -> None:
    """Reading it a second time gives nothing."""
    one = Watch(ID)
    first = [shown for each in LOG for shown in one.take(each).events]
    second = [shown for each in LOG for shown in one.take(each).events]
    assert first == LOG
    assert second == []
    assert one.last_seq == 8


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_events_in_any_order_are_shown_in_log_order(order: tuple[int, ...]) -> None:
    """Early events are held until the ones before arrive; late ones are dropped."""
    one = Watch(ID)
    shown = [new for index in order for new in one.take(LOG[index]).events]
    assert shown == LOG[:5]
    assert one.hole is None


@pytest.mark.parametrize("after_seq", range(9))
def test_events_up_to_after_seq_count_as_seen(after_seq: int) -> None:
    """`--after-seq`; the verdict is always shown."""
    one = Watch(ID, after_seq=after_seq)
    shown = [new for each in LOG for new in one.take(each).events]
    assert shown == (LOG[after_seq:] or LOG[-1:])
    assert one.verdict is LOG[-1]


def test_verdict_is_never_dropped() -> None:
    """A restarted log may give it a seen number, but there is only one verdict."""
    one = watch(*LOG[:7])
    received = one.take(complete("passed", 3))
    assert [shown.type for shown in received.events] == ["complete"]
    assert received.progress
    assert one.last_seq == 7


# -- another log under the same id --------------------------------------------------------------------

NAMED = [status("pending", 1, epoch="a"), *LOG[1:]]


@pytest.mark.parametrize("known", [None, "a"])
def test_event_1_names_the_log(known: str | None) -> None:
    """Its name is taken, or it is the one that was known."""
    one = Watch(ID, epoch=known)
    assert [new for each in NAMED for new in one.take(each).events] == NAMED
    assert (one.epoch, one.replaced) == ("a", False)


@pytest.mark.parametrize("seen", range(8))
def test_event_1_of_another_log(seen: int) -> None:
    """Nothing of that log is taken, at whatever point it begins, and nothing of the old one any more."""
    one = Watch(ID, epoch="a")
    for each in NAMED[:seen]:
        one.take(each)
    before = one.snapshot()
    assert one.take(status("pending", 1, epoch="b")) == Received()
    assert one.replaced
    for each in [result("C", seq=seen + 1), *NAMED[seen:], complete("passed"), complete("passed", 2)]:
        assert one.take(each) == Received()
    assert one.snapshot() == before


FIRST_RUN = "0123456789abcdef"


@pytest.mark.parametrize("epoch", [FIRST_RUN, f"{FIRST_RUN}01234567"])
def test_a_later_run_of_the_same_submission(epoch: str) -> None:
    """Who remembers the submission, and has seen nothing of it, follows the run that there is."""
    one = Watch(ID, origin=FIRST_RUN)
    assert one.take(status("pending", 1, epoch=epoch)).events
    assert (one.epoch, one.replaced) == (epoch, False)
    # From now on it is this run and no other.
    one.take(status("pending", 1, epoch=f"{FIRST_RUN}89abcdef"))
    assert one.replaced


def test_another_submission_under_the_same_id() -> None:
    """Whatever its name says, it is not a run of the one that is remembered."""
    for told in ("another", "1123456789abcdef01234567"):
        one = Watch(ID, origin=FIRST_RUN)
        assert one.take(status("pending", 1, epoch=told)) == Received()
        assert (one.epoch, one.replaced) == (None, True)
        one = Watch(ID, after_seq=3, origin=FIRST_RUN)
        one.recognize(told)
        assert one.replaced


def test_another_log_after_the_verdict() -> None:
    """It does not matter any more."""
    one = watch(*NAMED)
    one.take(status("pending", 1, epoch="b"))
    one.recognize("b", 1)
    assert not one.replaced


def test_only_event_1_is_asked_for_the_name() -> None:
    """What other events call epoch, and what is not a name, is passed on and otherwise ignored."""
    one = watch(NAMED[0], status("building", 2, epoch="b"), status("testing", None, epoch="b"))
    one.take(from_mapping({"type": "status_update", "status": "pending", "seq": 1, "epoch": 12}))
    one.take(status("pending", 1, epoch=""))
    assert (one.epoch, one.replaced, one.last_seq) == ("a", False, 2)


@pytest.mark.parametrize(
    ("known", "epoch", "last_seq", "replaced"),
    [
        pytest.param("a", "a", 3, False, id="the same"),
        pytest.param("a", "a", 9, False, id="a longer one"),
        pytest.param("a", "a", 2, True, id="a shorter one"),
        pytest.param("a", "b", 9, True, id="another name"),
        pytest.param("a", None, None, False, id="an older server"),
        pytest.param("a", "", "2", False, id="neither name nor position"),
        pytest.param(None, "a", 3, False, id="a name for the first time"),
        pytest.param(None, None, 2, True, id="a shorter one of an older server"),
    ],
)
def test_log_that_rest_describes(known: str | None, epoch: object, last_seq: object, replaced: bool) -> None:
    """Its name and its end tell whether it is the one that was followed."""
    one = Watch(ID, after_seq=3, epoch=known)
    one.recognize(epoch, last_seq)
    assert one.replaced is replaced
    assert bool(one.take(LOG[3]).events) is not replaced


def test_snapshot_for_the_screen_names_the_log() -> None:
    """It is compared as any other."""
    one = watch(*NAMED[:2])
    one.describe({"problem": "p", "epoch": "b"})
    assert one.replaced


def test_what_is_held_when_a_log_gets_its_name() -> None:
    """It may be of another log: it is forgotten, and comes from the log."""
    one = watch(LOG[2])
    one.recognize("a", 8)
    assert one.fill(NAMED).events == tuple(NAMED)
    one = watch(LOG[2])
    one.recognize(None, 8)
    assert one.hole == Hole(after=0, before=3)


def test_verdict_before_events_that_were_seen() -> None:
    """Nothing follows a verdict: in a log with a name this one is of another log."""
    one = watch(*NAMED[:7])
    assert one.take(complete("passed", 3)) == Received()
    assert one.replaced
    one = Watch(ID, after_seq=8, epoch="a")
    assert one.take(complete("failed", 8)).progress


def test_hole_names_missing_events() -> None:
    """Exclusive on both sides; nothing is applied until it is filled."""
    one = watch(LOG[0])
    assert one.hole is None
    assert one.take(LOG[3]) == Received()
    assert one.hole == Hole(after=1, before=4)
    assert one.take(LOG[5]) == Received()
    assert one.take(LOG[2]) == Received()
    assert one.hole == Hole(after=1, before=3)
    assert one.take(LOG[1]) == Received((LOG[1], LOG[2], LOG[3]), progress=True)
    assert one.hole == Hole(after=4, before=6)


def test_hole_is_filled_from_log() -> None:
    """Held events follow in their places."""
    one = watch(LOG[0], LOG[3])
    assert one.fill(LOG[1:6]) == Received(tuple(LOG[1:6]), progress=True)
    assert one.hole is None


@pytest.mark.parametrize(
    ("held", "log", "shown"),
    [
        pytest.param([3], [], [3], id="an empty log"),
        pytest.param([3, 5], [1], [1, 3, 5], id="several holes"),
        pytest.param([3], [1, 5], [1, 3, 5], id="the log goes on"),
        pytest.param([], [4, 5], [4, 5], id="a log whose beginning is gone"),
        pytest.param([2, 3], [1], [1, 2, 3], id="a hole that closes"),
    ],
)
def test_events_missing_from_log_are_skipped(held: list[int], log: list[int], shown: list[int]) -> None:
    """After reading the log, the watch stops waiting for them."""
    one = watch(LOG[0], *(LOG[number] for number in held))
    assert one.fill([LOG[number] for number in log]).events == tuple(LOG[number] for number in shown)
    assert one.hole is None


def test_dropped_events_arrive_again_by_replay() -> None:
    """If the log is unreadable, early events are dropped, and the next connection sends them in order."""
    one = watch(LOG[0], LOG[3])
    one.drop_held()
    assert one.hole is None
    assert [new for each in LOG[1:5] for new in one.take(each).events] == LOG[1:5]


def test_verdict_from_snapshot_comes_after_held_events() -> None:
    """Nothing is shown after a verdict."""
    one = watch(LOG[0], LOG[2])
    verdict = complete("failed")
    assert one.fill([verdict]).events == (LOG[2], verdict)


def test_held_events_are_bounded() -> None:
    """Beyond the limit they are dropped and come from the log; the next event is always accepted."""
    early = [result(f"t{seq}", seq=seq) for seq in range(2, HELD_MAX + 3)]
    one = watch(*early)
    first = result("t1", seq=1)
    shown = one.take(first).events
    assert shown == (first, *early[:HELD_MAX])
    assert one.hole is None
    assert one.take(early[HELD_MAX]).events == (early[HELD_MAX],)


def test_nothing_is_shown_after_the_verdict() -> None:
    """Neither later events nor held ones."""
    one = watch(complete("failed"), complete("passed"), status("testing"), result("A"))
    assert isinstance(one.verdict, Complete)
    assert one.verdict.final_status == "failed"
    assert one.snapshot().counts.done == 0
    one = watch(LOG[0], result("late", seq=4), complete("passed", 2))
    assert one.hole is None
    assert one.snapshot().counts.done == 0


def test_numbered_events_are_applied_in_server_order() -> None:
    """Even if the status goes back: a worker died, and another started."""
    one = watch(status("testing", 1, attempt=1), status("pending", 2, attempt=2), status("pending", 3))
    assert one.snapshot().status == "pending"
    assert one.last_seq == 3


def test_numbered_event_is_shown_even_if_not_news() -> None:
    """A test that passed twice is shown twice."""
    one = Watch(ID)
    twice = [result("A", seq=1), result("A", seq=2), status("testing", 3), status("testing", 4)]
    assert [shown for each in twice for shown in one.take(each).events] == twice


def test_numbered_event_known_from_snapshot_is_not_repeated() -> None:
    """If the server does not replay; new events are shown."""
    one = watch(status("testing"), result("A"))
    assert one.take(status("building", 1)) == Received()
    assert one.take(result("A", seq=2)) == Received()
    assert one.snapshot().status == "testing"
    assert one.take(result("B", seq=3)).progress
    assert one.last_seq == 3


# -- events without seq ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        pytest.param([], result("A"), True, id="the first result"),
        pytest.param([result("A")], result("A"), False, id="the same result"),
        pytest.param([result("A")], result("A", "failed"), True, id="another status"),
        pytest.param([result("A")], result("A", duration_ms=5), False, id="the same status, other data"),
        pytest.param([result("A", test_id=1)], result("A"), False, id="REST has only the name"),
        pytest.param([result("A")], result("A", test_id=1), False, id="REST has the id as well"),
        pytest.param([result("A", test_id=1)], result("A", test_id=2), True, id="another test of that name"),
        pytest.param([], analysis("why"), True, id="an analysis"),
        pytest.param([analysis("why")], analysis("why"), False, id="the same analysis"),
        pytest.param([analysis("why")], analysis("because"), True, id="another explanation"),
        pytest.param([analysis("why", test_name="A")], analysis("why", test_name="B"), True, id="of another test"),
        pytest.param([analysis("why", test_id=1)], analysis("why", test_id=2), True, id="of another test by id"),
        pytest.param([], status("pending"), True, id="the first status"),
        pytest.param([status("pending")], status("pending"), False, id="the same status"),
        pytest.param([status("pending")], status("building"), True, id="a later status"),
        pytest.param([status("testing")], status("building"), False, id="an earlier status"),
        pytest.param([status("testing")], status("running"), True, id="another word for the same stage"),
        pytest.param([status("testing"), status("running")], status("testing"), False, id="the first word again"),
        pytest.param([status("testing")], status("completed"), True, id="a terminal status"),
        pytest.param([status("completed")], status("testing"), False, id="back from the end"),
        pytest.param([status("completed")], status("archiving"), False, id="an unknown status after the end"),
        pytest.param([status("testing")], status("archiving"), True, id="an unknown status"),
        pytest.param([status("testing"), status("archiving")], status("testing"), False, id="back from an unknown one"),
        pytest.param([status("testing"), status("archiving")], status("building"), False, id="behind an unknown one"),
        pytest.param([status("testing"), status("archiving")], status("failed"), True, id="on from an unknown one"),
        pytest.param([status("testing", detail="a")], status("testing", detail="b"), True, id="another detail"),
        pytest.param([status("testing", detail="a")], status("testing"), False, id="no detail"),
        pytest.param([status("testing", progress=5)], status("testing", progress=6), True, id="progress"),
        pytest.param([status("testing", progress=5)], status("testing", progress=4), False, id="progress backward"),
        pytest.param([status("testing", progress=5)], status("testing"), False, id="no progress"),
        pytest.param([status("testing")], status("testing", progress=0), False, id="no progress yet"),
        pytest.param([status("testing")], status("testing", progress=0.5), True, id="progress begins"),
        pytest.param([status("testing")], status("testing", total_tests=5), True, id="the total becomes known"),
        pytest.param([status("testing", total_tests=5)], status("testing"), False, id="the total is left out"),
        pytest.param([status("queued", queue_position=3)], status("queued", queue_position=2), True, id="the queue"),
        pytest.param([status("queued", queue_position=3)], status("queued"), False, id="the queue is left out"),
        pytest.param([status("testing", attempt=1)], status("building", attempt=2), True, id="judged again"),
        pytest.param([status("testing", attempt=2)], status("completed", attempt=1), False, id="of an old attempt"),
        pytest.param([status("testing", attempt=1)], status("testing", attempt=1), False, id="the same attempt"),
        pytest.param([status("testing")], status("testing", attempt=1), False, id="the attempt becomes known"),
        pytest.param([status("testing", attempt=1)], status("building"), False, id="an earlier status, no attempt"),
        pytest.param([status("testing", attempt=1), status("running")], status("testing"), False, id="once an attempt"),
        pytest.param([status("testing", attempt=1), status("pending", attempt=2)], status("queued"), True, id="anew"),
        pytest.param([status("archiving")], status("pending"), True, id="after an unknown one at the beginning"),
        pytest.param([], complete(), True, id="the verdict"),
    ],
)
def test_unnumbered_event_is_shown_only_if_news(before: list[Message], after: Message, new: bool) -> None:
    """Otherwise it was shown before; a status never moves backward."""
    one = watch(*before)
    assert one.take(after) == (Received((after,), progress=True) if new else Received())


def test_unknown_type_is_shown_but_is_not_progress() -> None:
    """A greeting at every connect must not look like progress."""
    one = Watch(ID)
    greeting = event("connected")
    assert one.take(greeting) == Received((greeting,))
    assert one.take(greeting) == Received((greeting,))


def test_new_attempt_starts_over() -> None:
    """Statuses are reached again, progress restarts, results stay; explanations of the old ones do not."""
    one = watch(
        status("building", attempt=1),
        status("testing", attempt=1, progress=80, total_tests=3),
        result("A"),
        analysis("A"),
        status("building", attempt=2),
        status("testing"),
        status("building"),
    )
    picture = one.snapshot()
    assert picture.analyses == ()
    again = one.take(analysis("A"))
    assert (again.events, one.snapshot().analyses) == ((analysis("A"),), (analysis("A"),))
    assert [(stage.status, stage.attempt) for stage in picture.stages] == [
        *(("building", 1), ("testing", 1)),
        *(("building", 2), ("testing", 2)),
    ]
    assert (picture.attempt, picture.progress, picture.total_tests) == (2, None, 3)
    assert picture.counts == Counts(passed=1)


def test_omitted_fields_of_update_are_kept() -> None:
    """Detail and queue position within a stage; the total for good."""
    one = watch(status("queued", detail="d", queue_position=3, total_tests=9, progress=1))
    one.take(status("queued", progress=2))
    picture = one.snapshot()
    assert (picture.detail, picture.queue_position, picture.progress, picture.total_tests) == ("d", 3, 2, 9)
    one.take(status("testing"))
    picture = one.snapshot()
    assert (picture.detail, picture.queue_position, picture.progress, picture.total_tests) == (None, None, 2, 9)


# -- the snapshot -------------------------------------------------------------------------------------


def test_snapshot_has_everything_known() -> None:
    """Everything that a view draws."""
    one = Watch(ID, problem="leader-election", language="python", url="http://h/7")
    one.fill(LOG)
    picture = one.snapshot()
    assert (picture.id, picture.problem, picture.language, picture.url) == (
        7,
        "leader-election",
        "python",
        "http://h/7",
    )
    assert picture.stages == (Stage("pending"), Stage("building"), Stage("testing"))
    assert picture.status == "testing"
    assert (picture.total_tests, picture.counts) == (2, Counts(passed=1, failed=1))
    assert picture.recent == (LOG[3], LOG[4])
    assert picture.failures == (LOG[4],)
    assert picture.analyses == (LOG[5],)
    assert picture.verdict is LOG[7]
    assert (picture.last_seq, picture.malformed) == (8, 0)
    assert picture.connection.state == "connecting"


def test_first_snapshot_is_empty() -> None:
    """Nothing is made up."""
    picture = Watch(ID).snapshot()
    assert (picture.status, picture.total_tests, picture.verdict, picture.attempt) == (None,) * 4
    assert (picture.stages, picture.recent, picture.failures, picture.analyses) == ((),) * 4


def test_snapshot_has_connection() -> None:
    """As set by the session."""
    one = Watch(ID)
    one.connection = Connection("polling", reason="because")
    assert one.snapshot().connection == Connection("polling", reason="because")


def test_snapshot_does_not_change() -> None:
    """It is frozen while the watch continues."""
    one = watch(*LOG[:5])
    before = one.snapshot()
    copy = one.snapshot()
    one.fill(LOG)
    assert before == copy
    assert before != one.snapshot()


def test_snapshot_is_bounded() -> None:
    """After thousands of results, a thousand analyses and a hundred stages; the counts are complete."""
    one = Watch(ID)
    for number in range(2_000):
        one.take(result(f"t{number}", "failed" if number % 2 else "passed"))
    for number in range(100):
        one.take(status("testing", attempt=number))
    for number in range(1_000):
        one.take(analysis(f"why {number}"))
    picture = one.snapshot()
    assert picture.counts == Counts(passed=1_000, failed=1_000)
    assert (len(picture.recent), len(picture.failures)) == (RECENT_KEPT, FAILURES_KEPT)
    assert [each.analysis for each in picture.analyses] == [f"why {number}" for number in range(FAILURES_KEPT)]
    assert [stage.attempt for stage in picture.stages] == list(range(100 - STAGES_KEPT, 100))


def test_analysis_beyond_limit_is_not_repeated() -> None:
    """It is not in the snapshot, but counts as seen."""
    one = watch(*(analysis(f"why {number}") for number in range(FAILURES_KEPT + 1)))
    assert one.take(analysis(f"why {FAILURES_KEPT}")) == Received()


@pytest.mark.parametrize(
    ("snapshot", "described"),
    [
        ({"problem": "p", "language": "l", "url": "u"}, ("p", "l", "u")),
        ({"problem": {"id": 3}, "language": None}, ("known", None, None)),
        ({}, ("known", None, None)),
    ],
)
def test_rest_snapshot_gives_problem_language_and_page(
    snapshot: dict[str, Any], described: tuple[str | None, ...]
) -> None:
    """Only texts are taken; otherwise the known values stay."""
    one = Watch(ID, problem="known")
    one.describe(snapshot)
    assert (one.problem, one.language, one.url) == described


def test_current_status_is_from_last_update() -> None:
    """The timestamp belongs to the stage that it started."""
    one = watch(status("testing", timestamp="t1"), status("testing", timestamp="t2", detail="d"))
    assert one.snapshot().stages == (Stage("testing", "t1"),)
    assert isinstance(LOG[0], StatusUpdate)


# -- output -------------------------------------------------------------------------------------------


def output(number: int | None, **fields: Any) -> Message:
    numbered = {} if number is None else {"output_seq": number}
    return event("output", stream="stdout", text="printed\n", **numbered, **fields)


def test_output_is_shown_once_and_changes_nothing_else() -> None:
    """It has a number of its own: one that is not higher than the last was seen."""
    one = watch(status("testing", 1))
    before = one.snapshot()
    assert [one.take(output(number)).progress for number in (1, 2, 2, 1, 5, 4, 6)] == [
        *(True, True, False, False, True, False, True)
    ]
    assert (one.last_output, one.last_seq, one.hole) == (6, 1, None)
    assert one.snapshot() == before
    assert one.take(result("A", seq=2)).progress


def test_output_goes_on_where_an_earlier_watch_ended() -> None:
    """Pieces up to `output_after` count as seen."""
    one = Watch(ID, output_after=3)
    assert [bool(one.take(output(number)).events) for number in (3, 4)] == [False, True]


def test_output_waits_for_the_event_that_it_follows() -> None:
    """Both are fetched, like a hole in the log; what the log lacks does not exist, and so is not waited for."""
    one = watch(status("testing", 1))
    frames: deque[str | bytes] = deque(json.dumps(each.raw) for each in (output(1, after_seq=3), result("C", seq=4)))
    assert one.receive_all(frames).events == []
    assert (one.hole, len(frames)) == (Hole(1, 4), 1)
    filled = one.fill([result("A", seq=2), result("B", seq=3), output(1, after_seq=3)])
    assert [shown.type for shown in filled.events] == ["test_result", "test_result", "output"]
    assert one.hole is None
    assert one.take(output(2, after_seq=9)) == Received()
    assert one.take(output(3, after_seq=9)) == Received(), "what comes before it is still missing"
    assert one.fill([]).events == ()
    assert (one.hole, one.take(output(2, after_seq=9)).progress) == (None, True)
    one.take(output(3, after_seq=12))
    one.drop_held()
    assert one.hole is None


def test_output_is_filled_in_before_the_verdict() -> None:
    """It comes between events, as the log and the output say, not after them like events without `seq`."""
    one = watch(status("testing", 1))
    filled = one.fill([output(1, after_seq=1), complete(seq=2), output(2, after_seq=2)])
    assert [shown.type for shown in filled.events] == ["output", "complete"]


def test_output_of_a_server_without_numbers_is_shown() -> None:
    """It may be another platform's own type: it is no progress, and cannot be recognised when it is repeated."""
    one = Watch(ID)
    assert [one.take(output(None)) for _ in range(2)] == [Received((output(None),))] * 2
    assert one.take(event("output", 1, percent=5)).progress
    assert one.last_seq == 1


def test_output_after_the_verdict_or_of_another_log_is_dropped() -> None:
    """Nothing follows a verdict."""
    ended = watch(complete(seq=1))
    assert ended.take(output(1)) == Received()
    replaced = Watch(ID, epoch="a")
    replaced.take(event("status_update", 1, status="pending", epoch="b"))
    assert replaced.take(output(1)) == Received()


def test_failures_are_known_without_a_snapshot() -> None:
    """A view of thousands asks each of them in every frame; a failure that passes later is none."""
    one = watch(result("a"), result("b", "skipped"))
    assert not one.has_failures
    one.take(result("a", "error"))
    assert one.has_failures
    one.take(result("a"))
    assert not one.has_failures
