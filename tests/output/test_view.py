"""The quiet view prints verdicts only; the composite view passes every call on."""

from __future__ import annotations

import io
from typing import Any

import pytest

from subcli.core.errors import NetworkError
from subcli.output.view import CompositeView, NullView, QuietView, SnapshotSource, ViewEvent
from tests.output.playhouse.script import Clock, Stage, ten


def quiet(*, several: bool) -> tuple[io.StringIO, Stage]:
    stream = io.StringIO()
    return stream, Stage(QuietView(stream, several), Clock())


def test_single_verdict_is_one_word() -> None:
    """A single verdict is one word, for ``$(subcli -q submit …)``."""
    stream, stage = quiet(several=False)
    stage.view.submitted(12, {"url": "http://127.0.0.1:8000/submissions/12"})
    stage.begin()
    ten(stage)
    stage.view.tick()
    stage.view.flush()
    stage.view.suspend()
    stage.view.resume()
    stage.complete("failed")
    stage.view.close()
    assert stream.getvalue() == "failed\n"


def test_several_verdicts_are_printed_with_their_ids() -> None:
    """``ID verdict``, in the order in which they arrive."""
    stream, stage = quiet(several=True)
    stage.begin(12)
    stage.begin(13)
    stage.complete("build_failed", 13)
    stage.complete("passed", 12)
    assert stream.getvalue() == "13 build_failed\n12 passed\n"


def test_error_prints_nothing() -> None:
    """Without a verdict, only the exit code reports the error."""
    stream, stage = quiet(several=False)
    stage.begin()
    stage.fail(NetworkError("gone"), 6)
    assert stream.getvalue() == ""


def test_hostile_verdict_stays_on_one_line() -> None:
    """Control characters become visible escapes."""
    stream, stage = quiet(several=False)
    stage.begin()
    stage.complete("passed\n\x1b[2Jfailed")
    assert stream.getvalue() == "passed ^[[2Jfailed\n"


# -- the composite view -----------------------------------------------------------------------------


def test_composite_view_passes_every_call_to_every_view() -> None:
    """In order, and with the same arguments."""
    streams = io.StringIO(), io.StringIO()
    calls: list[tuple[str, str]] = []

    class Recorder(QuietView):
        def __init__(self, name: str, stream: io.StringIO) -> None:
            super().__init__(stream, several=True)
            self.name = name

        def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
            calls.append((self.name, f"submitted {submission_id} {answer}"))

        def begin(self, source: SnapshotSource) -> None:
            calls.append((self.name, f"begin {source.submission_id}"))

        def event(self, submission_id: int, event: ViewEvent) -> None:
            calls.append((self.name, f"event {submission_id} {type(event).__name__}"))

        def tick(self) -> None:
            calls.append((self.name, "tick"))

        def flush(self) -> None:
            calls.append((self.name, "flush"))

        def suspend(self) -> None:
            calls.append((self.name, "suspend"))

        def resume(self) -> None:
            calls.append((self.name, "resume"))

    view = CompositeView(Recorder("a", streams[0]), [Recorder("b", streams[1])])
    stage = Stage(view, Clock())
    view.submitted(12, {"url": "u"})
    stage.begin()
    stage.connection("open")
    stage.pass_time(1)
    view.flush()
    view.suspend()
    view.resume()
    stage.complete("passed")
    expected = [
        "submitted 12 {'url': 'u'}", "begin 12", "event 12 Connection", "tick", "flush", "suspend", "resume",
        "event 12 Complete",
    ]  # fmt: skip
    assert calls == [(name, call) for call in expected for name in "ab"]
    assert [stream.getvalue() for stream in streams] == ["12 passed\n"] * 2


def test_all_views_are_closed() -> None:
    """If closing one view fails, because the terminal is gone, the others are closed all the same."""

    class Broken(NullView):
        def close(self) -> None:
            raise OSError

    class Closed(NullView):
        closed = False

        def close(self) -> None:
            self.closed = True

    first, last = Closed(), Closed()
    with pytest.raises(OSError):
        CompositeView(first, [Broken(), last]).close()
    assert first.closed
    assert last.closed


def test_shortest_tick_counts() -> None:
    """The view that needs ticks most often sets the interval; without any, there are none."""

    class Slow(NullView):
        tick_s: float | None = 1.0

    assert CompositeView(NullView(), [NullView()]).tick_s is None
    assert CompositeView(NullView(), [Slow()]).tick_s == 1.0
