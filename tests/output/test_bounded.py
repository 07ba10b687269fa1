"""Memory grows with the number of tests, not of events: counts the objects that can be reached."""

from __future__ import annotations

import asyncio
import gc
import io
import types
from typing import Any

import pytest

from bench.long_output import VIEWS, watch
from subcli.core.submission import FAILURES_KEPT, RECENT_KEPT
from subcli.core.watch import Watch
from subcli.output.ndjson import NdjsonView
from subcli.shared.encoding import encode

TESTS = 100
_SHARED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def reachable(*roots: object) -> int:
    """Count the objects that can be reached."""
    seen: dict[int, object] = {}
    waiting = list(roots)
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, _SHARED):
            seen[id(each)] = each
            waiting += gc.get_referents(each)
    return len(seen)


def result(seq: int, test: int) -> str:
    """Return a result; every fourth test fails."""
    status = "failed" if test % 4 == 0 else "passed"
    fields: dict[str, Any] = {"type": "test_result", "submission_id": 1, "seq": seq, "status": status}
    measured = {"outcome": "passed", "group": f"group {test % 9} of {seq % 2}", "score": 0.1 * seq, "max_score": seq}
    return encode({**fields, **measured, "test_name": f"test {test}", "test_id": test, "message": f"in {seq}"})


def test_watch_does_not_keep_its_events() -> None:
    """Ten times as many events of the same tests add no object."""
    watch = Watch(1)
    for seq in range(1, 1001):
        watch.receive(result(seq, seq % TESTS))
    before = reachable(watch)
    for seq in range(1001, 10_001):
        watch.receive(result(seq, seq % TESTS))
    assert watch.last_seq == 10_000
    assert reachable(watch) == before


@pytest.mark.parametrize("tests", [1_000, 4_000])
def test_snapshot_is_bounded(tests: int) -> None:
    """A snapshot holds the latest results, the first failures, and the counts of all."""
    watch = Watch(1)
    for seq in range(1, tests + 1):
        watch.receive(result(seq, seq))
    snapshot = watch.snapshot()
    assert snapshot.counts.done == tests
    assert (len(snapshot.recent), len(snapshot.failures)) == (RECENT_KEPT, FAILURES_KEPT)


def test_ndjson_view_keeps_nothing() -> None:
    """The view for scripts writes each event and forgets it."""
    stream = io.StringIO()
    view = NdjsonView(stream, lambda: "2026-01-01T00:00:00.000Z")
    watch = Watch(1)
    before = reachable(view)
    for seq in range(1, 101):
        for event in watch.receive(result(seq, seq)).events:
            view.event(1, event)
    view.flush()
    assert stream.getvalue().count("\n") == 100
    assert reachable(view) == before


@pytest.mark.thorough
@pytest.mark.parametrize("view", VIEWS)
def test_what_is_printed_is_not_kept(view: str) -> None:
    """In no view does the client's memory grow with it; `make trials` sends 100 MB."""
    few, much = [asyncio.run(watch(view, megabytes)) for megabytes in (0.2, 24.0)]
    assert (few.code, much.code) == (0, 0)
    assert much.written_bytes > (24e6 if view != "live" else 1000)
    assert much.peak_mb - few.peak_mb < 16.0
