"""The quiet view: the verdict and nothing else."""

from __future__ import annotations

import io

from subcli.core.errors import NetworkError
from subcli.output.view import QuietView
from tests.output.playhouse.script import Clock, Stage, ten


def quiet(*, several: bool) -> tuple[io.StringIO, Stage]:
    stream = io.StringIO()
    return stream, Stage(QuietView(stream, several), Clock())


def test_one_verdict_is_one_word() -> None:
    """What a script reads with ``$(subcli -q submit …)``."""
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


def test_several_verdicts_have_their_id() -> None:
    """``ID verdict``, as each comes."""
    stream, stage = quiet(several=True)
    stage.begin(12)
    stage.begin(13)
    stage.complete("build_failed", 13)
    stage.complete("passed", 12)
    assert stream.getvalue() == "13 build_failed\n12 passed\n"


def test_no_verdict_is_nothing() -> None:
    """The exit code tells it."""
    stream, stage = quiet(several=False)
    stage.begin()
    stage.fail(NetworkError("gone"), 6)
    assert stream.getvalue() == ""


def test_a_hostile_verdict_stays_on_its_line() -> None:
    """Control characters are spelt out."""
    stream, stage = quiet(several=False)
    stage.begin()
    stage.complete("passed\n\x1b[2Jfailed")
    assert stream.getvalue() == "passed ^[[2Jfailed\n"
