"""What the log says about the trial at its end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select

from bench.crowd import quantile
from bench.herd.herd import Herd
from bench.herd.members import MANY
from subcli.judge.events import CONTENDED
from subcli.server.log.requeue import AGAIN, LOST, NO_LONGER_ABLE, STOPPED
from subcli.server.log.tables import attempts, events, submissions

_CAUSES: Final = {
    STOPPED: "SIGTERM",
    LOST: "SIGKILL",
    NO_LONGER_ABLE: "what the worker lacks",
    CONTENDED: "a time-out on a busy machine",
}
"""By what watchers are told."""
_JUDGE_FAILED: Final = "a failure of the judge"


def report(herd: Herd) -> bool:
    """Print what the log says. False if a verdict is wrong, or a watcher missed something."""
    logs: dict[int, list[dict[str, Any]]] = {}
    with herd.engine.connect() as connection:
        for row in connection.execute(select(events).order_by(events.c.submission_id, events.c.seq)):
            logs.setdefault(row.submission_id, []).append(json.loads(row.payload))
        claims = [row.worker for row in connection.execute(select(attempts.c.worker))]
        first_claim = func.min(attempts.c.started_at)
        waited = select(submissions.c.id, submissions.c.created_at, first_claim).join(attempts)
        spans = {row[0]: (row[1], row[2]) for row in connection.execute(waited.group_by(submissions.c.id))}
    right = 0
    for each in herd.followed:
        given = logs[each.submission_id][-1].get("final_status")
        right += given == each.expected
        if given != each.expected:
            print(f"WRONG: submission {each.submission_id}, {each.kind}: {given}, not {each.expected}")
            for event in logs[each.submission_id]:
                if event.get("status") != "pending" or "detail" in event:
                    print(f"    {json.dumps(event)[:400]}")
    given = Counter(logs[each.submission_id][-1].get("final_status") for each in herd.followed)
    print(f"right verdicts: {right} of {len(herd.followed)}; `error`: {given['error']}; {dict(given)}")
    _report_interrupted(herd, logs)
    _report_waiting(herd, spans)
    workers = (*herd.workers, herd.sick)
    shares = {process.name: sum(map(process.judged_with, claims)) for process in workers}
    print(f"claims by worker: {shares}")
    told = sum("queue_position" in event for log in logs.values() for event in log)
    print(f"events that told a place in the queue: {told}, for {len(claims)} claims")
    whole = sum(each.is_over and each.seqs == list(range(1, len(each.seqs) + 1)) for each in herd.followed)
    reconnects = sum(each.reconnects for each in herd.followed)
    print(f"watchers with every event once and in order: {whole} of {len(herd.followed)}; reconnects: {reconnects}")
    print(f"submitting was repeated, because a gateway was restarting or busy: {herd.repeated} times")
    return right == whole == len(herd.followed)


def _report_interrupted(herd: Herd, logs: Mapping[int, Sequence[Mapping[str, Any]]]) -> None:
    """How long it took from an interruption until the next attempt was under way, by its cause."""
    found: dict[str, list[float]] = {cause: [] for cause in (*_CAUSES.values(), _JUDGE_FAILED)}
    for submission_id, log in logs.items():
        for number, event in enumerate(log):
            if event.get("status") != "pending" or (cause := interrupted_by(str(event.get("detail")))) is None:
                continue
            since = moment(event)
            if cause == _CAUSES[LOST]:
                # Its watchers are told when its lease has expired; it is interrupted from the kill on.
                since = herd.killed_at.get(submission_id, since)
            again = (each for each in log[number:] if each.get("status") in ("building", "testing"))
            if (first := next(again, None)) is not None:
                found[cause].append(moment(first) - since)
    for cause, took in found.items():
        most = f"; under way again after {min(took):.1f} to {max(took):.1f} s" if took else ""
        print(f"interrupted by {cause}: {len(took)}{most}")


def _report_waiting(herd: Herd, spans: Mapping[int, tuple[float, float]]) -> None:
    """How long users waited, and whether each was served in turn.

    Only those count who handed in while the one with many was waiting: nobody stood in the way of the others. Turns
    do not depend on how quick the workers are: while a submission waits, one of each other user's may be taken, and
    one more for each that its own user handed in before and that waits as well.

    Args:
        spans: by submission, when it was handed in and when a worker first took it, as Unix times.
    """
    users = {each.submission_id: each.user for each in herd.followed}
    many = sorted(span for number, span in spans.items() if users[number] == MANY)
    over = max(taken for _, taken in many)
    beside = {number: span for number, span in spans.items() if users[number] != MANY and many[0][0] < span[0] < over}
    rows = ((f"the one with {len(many)} at once", many), (f"{len(beside)} of others meanwhile", beside.values()))
    for who, waits in rows:
        took = [taken - handed_in for handed_in, taken in waits] or [0.0]
        p50, p95 = quantile(took, 0.5), quantile(took, 0.95)
        print(f"waited until judging began, {who}: p50 {p50:.1f} s, p95 {p95:.1f} s, longest {max(took):.1f} s")
    passed, too_many = [0], 0
    for number, (handed_in, taken) in beside.items():
        before = sum(users[other] == users[number] and span[0] < handed_in < span[1] for other, span in spans.items())
        passed.append(sum(handed_in < each < taken for _, each in many))
        too_many += passed[-1] > 1 + before
    print(f"of the one's, taken while one of the others' waited: {max(passed)} at most; out of turn: {too_many}")


def interrupted_by(detail: str) -> str | None:
    """Why a judging was begun again, from what its watchers were told; None if that was something else."""
    return _JUDGE_FAILED if f"{AGAIN}, try " in detail else _CAUSES.get(detail)


def moment(event: Mapping[str, Any]) -> float:
    """The Unix time of an event, in seconds."""
    return datetime.fromisoformat(str(event["timestamp"])).timestamp()
