"""Whatever a server sends: the core neither falls over nor believes it.

``SUBCLI_FUZZ`` is the number of cases of each property; ``make soak`` sets it high.
"""

from __future__ import annotations

import json
import os
import re
from collections import deque
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from subcli.core.backoff import MAX_RETRY_AFTER_S
from subcli.core.catchup import missed, verdict
from subcli.core.inputs import (
    Action,
    Blocked,
    CatchUp,
    CaughtUp,
    Closed,
    Connect,
    Ended,
    Finish,
    Input,
    Lost,
    Opened,
    Poll,
    Progressed,
    Quiet,
    Read,
    Refresh,
    Refreshed,
    Refused,
    Reopening,
    Replaced,
    RestFailed,
    Silent,
    Slept,
    Started,
    Stop,
    TooManyBadFrames,
)
from subcli.core.recovery import step
from subcli.core.recovery.state import State
from subcli.core.submission import FAILURES_KEPT, GROUPS_KEPT, RECENT_KEPT, STAGES_KEPT
from subcli.core.watch import HELD_MAX, Received, Watch
from subcli.shared.decoding import MalformedMessageError, decode, from_mapping
from subcli.shared.encoding import INVISIBLE, encode
from subcli.shared.messages import MESSAGES, Complete, Control, Message, Output, TestResult, Unknown
from subcli.shared.protocol import STATUS_RANKS, TERMINAL_STATUSES
from subcli.shared.secret import MASK, Secret, redact

CASES = int(os.environ.get("SUBCLI_FUZZ") or "40")
fuzz = settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="SUBCLI_FUZZ" not in os.environ,
    database=None,
)
ID = 7

# -- what may come ------------------------------------------------------------------------------------

any_text = st.text() | st.text(st.sampled_from('{}[]":,\\u d8\x00\x1b\u202e"0'))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), any_text, st.sampled_from(("passed", 7, "7")))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4), max_leaves=12
)
FIELDS = (
    *("timestamp", "status", "total_tests", "queue_position", "attempt", "detail", "progress", "test_name"),
    *("duration_ms", "test_id", "test_type", "message", "expected", "actual", "output", "error_category", "error"),
    *("analysis", "suggestions", "category", "location", "final_status", "summary"),
    *("outcome", "cpu_ms", "memory_kb", "group", "score", "max_score"),
)
words = st.sampled_from([*STATUS_RANKS, *MESSAGES, "passed", "failed", "error", "skipped", "connected", "A", "B"])
seqs = st.integers(min_value=-2, max_value=12) | st.sampled_from((2**53, 10**30))
messages = st.fixed_dictionaries(
    {"type": st.sampled_from((*MESSAGES, "connected"))},
    optional=dict.fromkeys(FIELDS, words | values)
    | {"submission_id": st.sampled_from((7, "7", 8)) | values, "seq": seqs | values},
)


def written(value: Any) -> str:
    """Encode as a careless server would: with NaN, lone surrogates and all."""
    return json.dumps(value)


frames = (
    st.binary()
    | any_text
    | values.map(written)
    | messages.map(written)
    | st.sampled_from(("ping", "pong"))
    | st.tuples(messages.map(written), st.integers(0, 200), any_text).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
    )
)


# -- the watch ------------------------------------------------------------------------------------

epochs = st.sampled_from(("a", "b"))
told = st.fixed_dictionaries(
    {"type": st.sampled_from((*MESSAGES, "connected"))},
    optional={
        "submission_id": st.sampled_from((7, 7, 7, "7", 8)),
        "seq": st.integers(1, 6),
        "epoch": epochs,
        **dict.fromkeys(("status", "final_status", "test_name", "error", "attempt"), words | st.integers(1, 2)),
    },
)
arrivals = st.lists(told.map(written) | st.sampled_from(("ping", "pong", "{", b"")), max_size=12)


def _one_by_one(watch: Watch, frames: deque[str | bytes]) -> Received:
    """What `Watch.receive_all` says of itself, by each frame."""
    events: list[Message] = []
    progress = False
    while frames:
        frame = frames.popleft()
        received = watch.receive(frame)
        events += received.events
        progress = progress or received.progress
        asks = watch.hole is not None or watch.verdict is not None or watch.replaced
        if received.fault is not None or received.reply is not None or (asks and frame != "pong"):
            return Received(events, progress, received.reply, received.fault)
    return Received(events, progress)


@fuzz
@given(arrivals, st.integers(0, 3), st.none() | epochs)
def test_frames_that_come_together_are_received_like_each_alone(
    came: list[str | bytes], after_seq: int, epoch: str | None
) -> None:
    """The same events, up to the same frame, and the same state after it."""
    one, other = (Watch(ID, after_seq=after_seq, epoch=epoch) for _ in range(2))
    together, alone = deque(came), deque(came)
    while together:
        received, wanted = one.receive_all(together), _one_by_one(other, alone)
        assert (list(received.events), *received[1:]) == (list(wanted.events), *wanted[1:])
        assert together == alone
        assert (one.snapshot(), one.hole, one.replaced) == (other.snapshot(), other.hole, other.replaced)


# -- messages -----------------------------------------------------------------------------------------


@pytest.mark.thorough
@fuzz
@given(frames)
def test_frame_is_message_or_malformed(frame: str | bytes) -> None:
    """Nothing else is raised, and a message can be encoded without invisible characters."""
    try:
        message = decode(frame)
    except MalformedMessageError:
        return
    if isinstance(message, Control):
        assert message.text in ("ping", "pong")
        return
    line = encode(message.raw)
    assert json.loads(line) == message.raw
    assert not any(character in line for character in "\n\x1b\x7f\x9b\u202e\u200b\ufeff")
    assert message.type
    assert message.seq is None or 1 <= message.seq < 2**53
    again = from_mapping(json.loads(line))
    assert type(again) is type(message)


@pytest.mark.thorough
@fuzz
@given(messages.map(written))
def test_plain_frames_are_read_like_all_others(frame: str) -> None:
    """White space in front keeps a frame from being decoded as plain; otherwise it changes nothing."""
    try:
        general: Message | Control | None = decode(f" {frame}")
    except MalformedMessageError:
        general = None
    try:
        message = decode(frame)
    except MalformedMessageError:
        assert general is None
        return
    assert message == general
    assert isinstance(message, Message)
    assert isinstance(general, Message)
    assert message.type == general.type
    assert repr(message.raw) == repr(general.raw)
    assert message.frame is None or (message.frame == frame and frame.isascii() and frame.isprintable())


@fuzz
@given(values)
def test_encoding_round_trips(value: Any) -> None:
    """Encoding keeps the data and escapes invisible characters."""
    assume(not any(word in json.dumps(value) for word in ("NaN", "Infinity", "\\ud")))
    line = encode({"value": value})
    assert not re.search(f"[{INVISIBLE}]", line)
    assert json.loads(line)["value"] == value


# -- the watch ----------------------------------------------------------------------------------------


@pytest.mark.thorough
@fuzz
@given(st.lists(frames | messages.map(written), max_size=40))
def test_watch_accepts_any_input(sequence: list[str | bytes]) -> None:
    """It never raises, shows nothing after the verdict and no number twice; its snapshot stays bounded."""
    watch = Watch(ID)
    shown: list[int] = []
    last_seq = faults = 0
    for frame in sequence:
        had_verdict = watch.verdict
        received = watch.receive(frame)
        faults += received.fault is not None
        assert not (had_verdict and received.events)
        assert watch.last_seq >= last_seq
        last_seq = watch.last_seq
        shown += [event.seq for event in received.events if event.seq is not None and not isinstance(event, Complete)]
        assert received.progress == any(
            event.seq is not None
            or (isinstance(event, Output) and event.output_seq is not None)
            or not isinstance(event, Unknown | Output)
            for event in received.events
        )
        assert watch.hole is None or watch.hole.after < watch.hole.before - 1
        assert len(watch._held) <= HELD_MAX
    assert shown == sorted(set(shown))
    assert watch.malformed == faults
    picture = watch.snapshot()
    assert len(picture.recent) <= RECENT_KEPT
    assert len(picture.failures) <= FAILURES_KEPT
    assert len(picture.analyses) <= FAILURES_KEPT
    assert len(picture.stages) <= STAGES_KEPT
    assert len(picture.groups) <= GROUPS_KEPT
    assert all(min(msgspec.structs.astuple(group.counts)) >= 0 < group.counts.done for group in picture.groups)
    assert min(picture.counts.passed, picture.counts.failed, picture.counts.errored, picture.counts.skipped) >= 0
    assert picture.counts.done >= len(picture.recent)


@fuzz
@given(st.integers(1, 12), st.data())
def test_any_delivery_of_a_log_shows_the_log(length: int, data: st.DataObject) -> None:
    """Out of order, duplicated, with holes: a prefix of the log is shown, and a catch-up gives the rest."""
    log = [
        from_mapping(
            {"type": "test_result", "test_name": f"t{seq}", "status": "passed", "seq": seq, "submission_id": ID}
        )
        for seq in range(1, length + 1)
    ]
    watch = Watch(ID)
    shown = [
        event.seq
        for index in data.draw(st.lists(st.integers(0, length - 1), max_size=30))
        for event in watch.take(log[index]).events
    ]
    assert shown == list(range(1, len(shown) + 1))
    shown += [event.seq for event in watch.fill(log).events]
    assert shown == list(range(1, length + 1))
    assert watch.snapshot().counts.done == length


def of_log(epoch: str, seq: int) -> Message:
    """An event of one of two logs under the same id; only the first has the log's name."""
    name = {"epoch": epoch} if seq == 1 else {}
    raw = {"type": "test_result", "test_name": f"t{seq}", "status": "passed", "seq": seq, "submission_id": ID}
    return from_mapping({**raw, **name, "log": epoch})


@fuzz
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("a", "a", "b")), st.sampled_from(("socket", "page", "snapshot")), st.permutations(range(8))
        )
    ),
    st.sampled_from((None, "a")),
)
def test_two_logs_are_never_mixed(course: list[tuple[str, str, list[int]]], known: str | None) -> None:
    """Whatever comes from which of two logs, over whichever way and in any order, the events shown are of one."""
    watch = Watch(ID, epoch=known)
    shown: list[Message] = []
    for epoch, way, order in course:
        after = watch.last_seq
        if way == "socket" and watch.epoch in (None, epoch):
            # A server that names its logs refuses a watcher of another one.
            for number in order:
                shown += watch.take(of_log(epoch, after + 1 + number)).events
            watch.drop_held()
        elif way != "socket":
            watch.recognize(epoch, after + 8)
        if way == "page":
            shown += watch.fill([of_log(epoch, after + 1 + number) for number in sorted(order)]).events
    assert [event.seq for event in shown] == list(range(1, len(shown) + 1))
    logs = {event.raw["log"] for event in shown}
    assert logs <= {watch.epoch}
    assert known is None or logs <= {known}


# -- catching up --------------------------------------------------------------------------------------

rows = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("id", "test_id", "test_type", "name", "test_name", "status", "message", "seq"), words | values
    ),
)
snapshots = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("id", "submission_id", "status", "final_status", "summary", "progress"), words | values)
)


@pytest.mark.thorough
@fuzz
@given(snapshots, st.lists(rows | values, max_size=6), st.none() | st.lists(messages | values, max_size=6))
def test_any_snapshot_is_read(snapshot: dict[str, Any], tests: list[Any], log: list[Any] | None) -> None:
    """The result is events or nothing; passed only by the rule of the contract."""
    events = missed(snapshot, tests, log)
    watch = Watch(ID)
    watch.fill(events)
    word = verdict(snapshot, tests)
    if word is not None:
        status, final_status = snapshot.get("status"), snapshot.get("final_status")
        assert word == final_status or status in TERMINAL_STATUSES
        if word == "passed" and final_status != "passed":
            assert status == "completed"
            assert tests
            assert all(isinstance(row, dict) and isinstance(row.get("status"), str) for row in tests)
    if watch.verdict is not None and log is None:
        assert watch.verdict.final_status == word


small = st.fixed_dictionaries(
    {"name": st.sampled_from("AB"), "status": st.sampled_from(("passed", "failed", "pending"))},
    optional={
        "id": st.sampled_from((1, 2, "2")),
        "test_id": st.sampled_from((1, 2, "3")),
        "test_type": st.sampled_from(("chaos", "")),
    },
)


@fuzz
@given(st.lists(st.lists(small, max_size=5) | small, max_size=8))
def test_any_mixture_of_listings_and_results_is_counted(course: list[Any]) -> None:
    """Whose result it is stays decided: the same listing or frame, once more, is no news, and counts add up."""
    watch = Watch(ID)
    statuses: dict[int, str] = {}
    for part in course:
        events = (
            missed({"id": ID, "status": "testing"}, part, None)
            if isinstance(part, list)
            else [from_mapping({"type": "test_result", "test_name": part["name"], **part})]
        )
        for event in watch.fill(events).events:
            if isinstance(event, TestResult):
                statuses[event.number] = event.status
        passed = list(statuses.values()).count("passed")
        counts = watch.snapshot().counts
        assert (counts.done, counts.passed, counts.failed) == (len(statuses), passed, len(statuses) - passed)
        assert sorted(statuses) == list(range(len(statuses)))
    by_id = [part for part in course if isinstance(part, dict) and "test_id" in part][-1:]
    for part in by_id:
        last = from_mapping({"type": "test_result", "test_name": part["name"], **part})
        watch.take(last)
        assert watch.take(from_mapping(dict(last.raw))).events == ()


# -- recovery -----------------------------------------------------------------------------------------

retry_after_s = st.none() | st.floats(allow_nan=True, allow_infinity=True)
inputs = st.one_of(
    st.builds(Opened, needs_catch_up=st.booleans()),
    st.just(Progressed()),
    st.just(Quiet()),
    st.builds(Closed, code=st.integers(0, 5001), reason=any_text, retry_after_s=retry_after_s),
    st.builds(Closed, code=st.sampled_from((1000, 1006, 1009, 1012, 4003, 4004, 4029)), retry_after_s=retry_after_s),
    st.builds(Refused, status=st.integers(100, 599), retry_after_s=retry_after_s),
    st.builds(Lost, reason=any_text, reached=st.booleans()),
    st.just(Silent()),
    st.just(Slept()),
    st.just(Reopening()),
    st.just(TooManyBadFrames()),
    st.just(Replaced()),
    st.builds(Blocked, reason=any_text, hint=any_text),
    st.builds(CaughtUp, news=st.booleans(), ended=st.booleans()),
    st.builds(RestFailed, status=st.none() | st.integers(100, 599), retry_after_s=retry_after_s),
    st.builds(Refreshed, ok=st.booleans()),
    st.just(Ended()),
)


def follows(action: Action, input: Input) -> bool:
    """Whether `input` can follow `action`."""
    match action:
        case Read():
            return isinstance(
                input,
                Progressed | Quiet | Closed | Lost | Silent | Slept | Reopening | TooManyBadFrames | Replaced | Ended,
            )
        case Connect():
            return isinstance(input, Opened | Refused | Lost | Blocked)
        case CatchUp() | Poll():
            return isinstance(input, CaughtUp | RestFailed | Replaced | Ended | Blocked)
        case Refresh():
            return isinstance(input, Refreshed)
        case _:
            return False


@fuzz
@given(st.lists(st.tuples(inputs, st.floats(0, 100)), max_size=60), st.booleans(), st.integers(0, 8), st.floats(0, 1))
def test_any_sequence_of_inputs_is_handled(
    course: list[tuple[Input, float]], own_submit: bool, max_attempts: int, random: float
) -> None:
    """With one action each, bounded waits, and at most five connects in ten seconds."""
    now = 1_000.0
    connects: list[float] = []
    state, action = step(State(max_attempts=max_attempts), Started(own_submit), now, random)
    for input, seconds in course:
        if isinstance(action, Connect):
            connects.append(now)
        if not follows(action, input):
            continue
        now += seconds
        state, action = step(state, input, now, random)
        match action:
            case Connect(delay_s) | Poll(delay_s):
                assert 0 <= delay_s <= MAX_RETRY_AFTER_S
                now += delay_s
            case Stop(error):
                assert isinstance(input, Blocked) or (error.message and error.hint)
                return
            case Finish():
                assert isinstance(input, Ended)
                return
        assert 0 <= state.attempts <= max(max_attempts, 1)


# -- secrets ------------------------------------------------------------------------------------------


@fuzz
@given(any_text, any_text, st.text(st.characters(categories=("L", "N"), max_codepoint=127), min_size=12))
def test_known_secret_is_always_redacted(before: str, after: str, value: str) -> None:
    """Anywhere in a text."""
    assert value not in redact(f"{before}{value}{after}", Secret(value)).replace(MASK, "")


@fuzz
@given(
    any_text,
    st.sampled_from(("?token={}", '"password": "{}"', "Authorization: Bearer {}", "http://u:{}@h/", "api_key={}")),
    st.text(st.characters(categories=("L", "N"), max_codepoint=127), min_size=12),
)
def test_secret_of_known_shape_is_always_redacted(before: str, shape: str, value: str) -> None:
    """Whatever precedes it; redacting twice changes nothing."""
    assume(value not in before and value not in shape)
    shown = redact(f"{before} {shape.format(value)} end")
    assert value not in shown
    assert redact(shown) == shown
