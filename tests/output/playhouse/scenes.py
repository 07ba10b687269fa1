"""The scenes of the approved screens and logs."""

from __future__ import annotations

from collections.abc import Callable

from subcli.core.errors import InterruptedByUser, NetworkError
from tests.output.playhouse.script import (
    GROUPS,
    LONG_CODE,
    LONG_NAMES,
    NAMES,
    TWICE,
    Stage,
    alike,
    cases,
    many,
    ten,
)


def start(stage: Stage) -> None:
    stage.begin()
    stage.pass_time(0.5)


def queued(stage: Stage) -> None:
    stage.begin()
    stage.connection("open")
    stage.status("pending", queue_position=3)
    stage.clock.now += 8


def one(stage: Stage) -> None:
    stage.begin()
    ten(stage, 1)


def half(stage: Stage) -> None:
    stage.begin()
    ten(stage, 7)


def full(stage: Stage) -> None:
    stage.begin()
    ten(stage, 10)


def unknown_total(stage: Stage) -> None:
    stage.begin()
    stage.connection("open")
    stage.status("testing")
    for name in NAMES[:4]:
        stage.clock.now += 1.1
        stage.result(name)


def percent(stage: Stage) -> None:
    stage.begin(problem=None, language=None)
    stage.connection("open")
    stage.status("building", detail="docker build")
    stage.status("testing", progress=42, detail="functional tests")
    stage.clock.now += 14
    stage.result("Leader Election")


def reconnecting(stage: Stage) -> None:
    half(stage)
    stage.connection("reconnecting", attempt=2, delay_s=8.0, code=1012, reason="restarting")
    stage.clock.now += 3.2


def polling(stage: Stage) -> None:
    half(stage)
    stage.connection("polling", delay_s=5.0, reason="handshake answered 426")
    stage.clock.now += 1.5


def again(stage: Stage) -> None:
    half(stage)
    stage.clock.now += 4
    stage.status("testing", attempt=2, total_tests=10)
    stage.clock.now += 2
    stage.result(NAMES[0], ms=1111)


def thousands(stage: Stage) -> None:
    stage.begin(problem="interval-tree", language="c")
    many(stage, 3210, total=5000)
    stage.send("error_analysis", test_name="case 3200", **TWICE)


def printing(stage: Stage) -> None:
    """A build and tests that print, a screenful at least, with what a terminal must not see."""
    half(stage)
    stage.printed("gcc -O2 -o node node.c\nnode.c:7:5: warning: unused variable 'term'\n", stream="build")
    vote = "test_election.py::test_split_vote"
    for term in range(1, 31):
        for node in ("n1", "n2", "n3"):
            stage.printed(f"term {term}: candidate\n", vote, "stderr", node=node)
    stage.printed("\x1b]0;title\x07\x1b[2J\u202ebold\n", "4")
    stage.printed("10 %\r50 %\r100 %\nlong " + "x" * 300 + "\n日本語のログ\n[... 12 MB not shown ...]\n", "4")
    stage.printed("unfinished", "4")


def printing_end(stage: Stage) -> None:
    printing(stage)
    stage.result("Leader Election", "failed", message="no leader")
    stage.complete("failed")


def six(stage: Stage) -> None:
    for number, problem in enumerate(["leader-election", "kv-store", "raft-log", "leader-election", "gossip", "clock"]):
        stage.begin(12 + number, problem, "python" if number % 2 else "c")
    ten(stage, 10, 12, failing=False)
    stage.complete("passed", 12, ms=31_000)
    ten(stage, 7, 13)
    ten(stage, 4, 14, failing=False)
    stage.connection("open", 15)
    stage.status("pending", 15, queue_position=2)
    stage.connection("reconnecting", 16, attempt=1, delay_s=4.0)
    stage.connection("open", 17)
    stage.status("building", 17)


MANY = 5000
"""How many submissions the scene of a feed has."""


def feed(stage: Stage) -> None:
    """Thousands over one socket: most wait, some are judged or fail, some have their verdicts."""
    problems = ("leader-election", "kv-store", "raft-log", "gossip", "clock")
    for number in range(MANY):
        stage.begin(1 + number, problems[number % len(problems)], "python")
        stage.connection("open", 1 + number)
        stage.status("pending", 1 + number, queue_position=1 + number)
    for number in range(1, 41):
        stage.status("testing", number, total_tests=4)
        stage.result(NAMES[0], "passed", 900, number)
    for number in range(1, 31):
        stage.result(NAMES[1], "failed" if number % 10 == 7 else "passed", 900, number)
    for number in range(1, 21):
        stage.complete("failed" if number % 10 == 7 else "passed", number)


def feed_end(stage: Stage) -> None:
    """Thousands, of which a few hundred were judged when somebody stopped watching."""
    feed(stage)
    for number in range(21, 301):
        stage.complete("failed" if number % 10 == 7 else "passed", number)
    hint = "Judging goes on; `subcli watch --mine` resumes watching."
    for number in range(301, MANY + 1):
        stage.fail(InterruptedByUser("Interrupted.", hint=hint), 130, number)


def six_end(stage: Stage) -> None:
    six(stage)
    ten_more = stage.watches[13]
    assert ten_more is not None
    for number in (7, 8, 9):
        stage.result(NAMES[number], "passed", 900, 13)
    stage.complete("failed", 13)
    stage.complete("passed", 14)
    stage.status("building", 15)
    stage.send(
        "error_analysis",
        15,
        error="node.c:7:5: error: expected ';' before 'return'",
        analysis="The compiler stopped at line 7.",
        suggestions=["Put a semicolon at the end of line 6."],
        location={"file": "node.c", "line": 7},
        category="build",
    )
    stage.complete("build_failed", 15, total_tests=0)
    stage.fail(NetworkError("no answer from 127.0.0.1:8000 in 5 attempts", hint="is the server still there?"), 6, 16)
    stage.complete("passed", 17, total_tests=4, passed=4)


def passed_end(stage: Stage) -> None:
    stage.view.submitted(12, {"url": "http://127.0.0.1:8000/submissions/12"})
    stage.begin()
    ten(stage, failing=False)
    stage.pass_time(0.1)
    stage.complete("passed", ms=25_249)


def failed_end(stage: Stage) -> None:
    stage.begin()
    ten(stage)
    stage.pass_time(0.1)
    stage.complete("failed", ms=25_249)


def running(stage: Stage) -> None:
    half(stage)
    stage.status("testing", running_test=NAMES[7], running_ms=1000)
    stage.clock.now += 11.2


def same_cause_end(stage: Stage) -> None:
    """Ten tests fail for one cause; before that, everything passed."""
    stage.begin(problem="lru-cache")
    alike(stage)
    compared = {
        "previous": 11,
        "newly_passing": 2,
        "newly_failing": 1,
        "slower": 1,
        "tests": [
            {"test_name": LONG_NAMES[3], "change": "newly_failing"},
            {"test_name": "Split vote", "change": "slower", "before_ms": 1200, "duration_ms": 3600},
            {"test_name": "Keeps what was put last", "change": "newly_passing"},
            {"test_name": "Answers at once", "change": "newly_passing"},
        ],
    }
    stage.complete("failed", ms=1_300, compared_to=compared)


def long_names_end(stage: Stage) -> None:
    """Names and code that are longer than a line."""
    stage.begin(problem="a-problem-whose-name-is-longer-than-a-narrow-terminal", language="python")
    stage.connection("open")
    stage.status("testing", total_tests=3)
    for name in LONG_NAMES[:2]:
        stage.result(name)
    stage.result(LONG_NAMES[2], "failed", message=f"assert {'value + ' * 30}1 == 2", outcome="wrong_answer")
    stage.send("error_analysis", test_name=LONG_NAMES[2], **LONG_CODE)
    stage.complete("failed", ms=3_750)


def build_failed_end(stage: Stage) -> None:
    stage.begin(language="c")
    stage.connection("open")
    stage.status("pending")
    stage.status("building")
    stage.pass_time(0.1)
    stage.send(
        "error_analysis",
        error="node.c:7:5: error: expected ';' before 'return'\n    7 |     return 0\n      |     ^~~~~~",
        analysis="The compiler stopped at line 7 of node.c.",
        suggestions=["Put a semicolon at the end of line 6."],
        location={"file": "node.c", "line": 7},
        category="build",
    )
    stage.complete("build_failed", ms=812, total_tests=None, passed=None, failed=None)


def lost_end(stage: Stage) -> None:
    half(stage)
    stage.pass_time(0.1)
    stage.fail(
        NetworkError("no answer from 127.0.0.1:8000 in 5 attempts", hint="is the server still running? (subcli serve)"),
        6,
    )


def left_end(stage: Stage) -> None:
    half(stage)
    stage.pass_time(0.1)
    stage.fail(InterruptedByUser("Interrupted.", hint="Judging goes on; `subcli watch 12` takes it up again."), 130)


def thousands_end(stage: Stage) -> None:
    stage.begin(problem="interval-tree", language="c")
    many(stage, 5000)
    stage.pass_time(0.1)
    stage.complete("failed", ms=20_000)


def points(stage: Stage) -> None:
    """A scored problem in the middle of its second group."""
    stage.begin(problem="bus-routes", language="cpp")
    cases(stage, 7)


def points_end(stage: Stage) -> None:
    stage.begin(problem="bus-routes", language="cpp")
    cases(stage)
    stage.pass_time(0.1)
    stage.complete("failed", ms=9_400, score=40, max_score=100, pass_score=60, groups=GROUPS)


def contest_end(stage: Stage) -> None:
    """No points and one group, but outcomes, times and memory; 60 cases, of which three fail."""
    stage.begin(problem="bus-routes", language="cpp")
    stage.connection("open")
    stage.status("testing", total_tests=60)
    for number in range(1, 61):
        outcome = {7: "wrong_answer", 31: "output_limit", 60: "judge_error"}.get(number, "passed")
        status = {"passed": "passed", "judge_error": "error"}.get(outcome, "failed")
        stage.result(f"secret/{number:02}", status, 20 + number, outcome=outcome, group="secret",
                     cpu_ms=12 + number, memory_kb=3_100 + 900 * number)  # fmt: skip
    stage.pass_time(0.1)
    stage.complete("failed", ms=5_000)


SCENES: dict[str, Callable[[Stage], None]] = {
    name.replace("_", "-"): scene
    for name, scene in list(globals().items())
    if callable(scene) and getattr(scene, "__module__", "") == __name__
}
