"""Scripted submissions for the views: real events through a real ``Watch``, on a clock that tests control.

A :class:`Stage` plays the part of a command: it begins submissions, passes events to a view, and lets time pass.
"""

from __future__ import annotations

from typing import Any

from subcli.core.errors import SubcliError
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.output.view import Ending, View
from subcli.shared.decoding import from_mapping

BEGIN = "2026-03-01T10:00:{:06.3f}Z"

NAMES = (
    "Leader Election",
    "Re-election after a crash",
    "No two leaders in one term",
    "Split vote",
    "Healing of a partition",
    "A follower that was away",
    "Messages in the wrong order",
    "Lost heartbeats",
    "Restart keeps the term",
    "Five nodes under load",
)
DURATIONS = (1250, 2104, 412, 5003, 3350, 870, 1930, 640, 2210, 7480)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """Passes scripted events to one view."""

    def __init__(self, view: View, clock: Clock) -> None:
        self.view = view
        self.clock = clock
        self.watches: dict[int, Watch] = {}
        self.seqs: dict[int, int] = {}
        self.pieces = 0

    def begin(self, id: int = 12, problem: str | None = "leader-election", language: str | None = "python") -> int:
        watch = Watch(id, problem=problem, language=language, url=f"http://127.0.0.1:8000/submissions/{id}")
        self.watches[id] = watch
        self.view.begin(watch)
        return id

    def send(self, kind: str, id: int = 12, *, seq: bool = True, **fields: Any) -> None:
        raw: dict[str, Any] = {"type": kind, "submission_id": id, **fields}
        raw.setdefault("timestamp", BEGIN.format(self.clock.now - 1000))
        if seq:
            self.seqs[id] = raw["seq"] = self.seqs.get(id, 0) + 1
        for event in self.watches[id].take(from_mapping(raw)).events:
            self.view.event(id, event)

    def status(self, status: str, id: int = 12, **fields: Any) -> None:
        self.send("status_update", id, status=status, **fields)

    def result(self, name: str, status: str = "passed", ms: float | None = 1250, id: int = 12, **fields: Any) -> None:
        self.send("test_result", id, test_name=name, status=status, duration_ms=ms, **fields)

    def printed(self, text: str, test_id: str | None = None, stream: str = "stdout", id: int = 12, **more: Any) -> None:
        self.pieces += 1
        fields = {"stream": stream, "test_id": test_id, "text": text, "output_seq": self.pieces, **more}
        self.send("output", id, seq=False, **fields)

    def connection(self, state: Any, id: int = 12, **fields: Any) -> None:
        connection = Connection(state, **fields)
        self.watches[id].connection = connection
        self.view.event(id, connection)

    def complete(
        self,
        final_status: str,
        id: int = 12,
        ms: float = 45000,
        *,
        compared_to: dict[str, Any] | None = None,
        at_home: str | None = None,
        **summary: Any,
    ) -> None:
        counts = self.watches[id].snapshot().counts
        summary = {
            "total_tests": counts.done,
            "passed": counts.passed,
            "failed": counts.not_passed,
            "duration_ms": ms,
            **summary,
        }
        more: dict[str, Any] = {} if compared_to is None else {"compared_to": compared_to}
        self.send("complete", id, final_status=final_status, summary=summary, **more)
        verdict = self.watches[id].verdict
        assert verdict is not None
        exit_code = 0 if final_status == "passed" else 1
        self.view.end(Ending(submission_id=id, exit_code=exit_code, verdict=verdict, at_home=at_home))

    def fail(self, error: SubcliError, exit_code: int, id: int | None = 12) -> None:
        self.view.end(Ending(submission_id=id, exit_code=exit_code, error=error))

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.view.tick()


TWO_LEADERS: dict[str, Any] = {
    "message": "two leaders in term 3: n1 and n4",
    "expected": "one leader in term 3",
    "actual": "two leaders in term 3: n1, n4",
    "output": "n1: leader of term 3\nn2: granted vote to n1\nn2: granted vote to n4\nn4: leader of term 3",
}
SPLIT: dict[str, Any] = {
    "message": "no leader after 5 s",
    "expected": {"leader": "n2", "term": 4, "votes": {"n1": "n2", "n2": "n2", "n3": "n2"}},
    "actual": {"leader": None, "term": 19, "votes": {"n1": "n1", "n2": "n2", "n3": "n3"}},
    "output": "\n".join(f"n{1 + i % 3}: candidate in term {4 + i // 3}" for i in range(45)),
}
TWICE: dict[str, Any] = {
    "error": "AssertionError: two leaders in term 3",
    "analysis": "n2 granted its vote to n1 and to n4 in the same term. A node votes at most once in each term; "
    "the vote is not remembered when a second request of the same term comes in.\n\nnode.py:\n"
    "    46      def on_request_vote(self, src, body):\n    47          if body['term'] >= self.term:\n"
    "  > 48              self.send(src, 'vote', term=self.term, granted=True)",
    "suggestions": [
        "Remember voted_for together with the term, and refuse a second candidate of that term.",
        "Clear voted_for only when a higher term is seen.",
    ],
    "location": {"file": "node.py", "line": 48},
    "category": "wrong_result",
}
TIMERS: dict[str, Any] = {
    "error": "Timeout: no leader after 5 s",
    "analysis": "All three nodes became candidates at the same moments, 15 times in a row.",
    "suggestions": ["Draw the election timeout anew for each election: random.uniform(0.15, 0.3)."],
    "location": {"file": "node.py", "line": 21},
    "category": "timeout",
}


def ten(stage: Stage, upto: int = 10, id: int = 12, *, failing: bool = True) -> None:
    """The bundled problem: ten tests, two of which fail."""
    stage.connection("open", id)
    stage.status("pending", id)
    stage.clock.now += 0.4
    stage.status("building", id, attempt=1)
    stage.clock.now += 2.1
    stage.status("testing", id, total_tests=10, attempt=1)
    for number in range(upto):
        name, ms = NAMES[number], DURATIONS[number]
        stage.clock.now += ms / 1000
        if failing and number in (2, 3):
            facts, why = ((TWO_LEADERS, TWICE), (SPLIT, TIMERS))[number - 2]
            stage.result(name, "failed", ms, id, **facts)
            stage.send("error_analysis", id, test_name=name, **why)
        else:
            stage.result(name, "passed", ms, id)


LONG_NAMES = (
    "test_cache.py::TestEviction::test_the_least_recently_used_entry_is_evicted_first[capacity=1]",
    "Says none for what it does not hold, even if it held it before and the entry has been evicted since",
    "Stores and returns values of every kind: numbers, texts, lists, and none",
    "Put replaces",
)
LONG_CODE: dict[str, Any] = {
    "error": "KeyError: 'a key that the cache has evicted a while ago'",
    "analysis": "A dictionary does not have this key.\n\nsolution.py:\n"
    "  > 14          return self._values[key] if self.is_known_to_be_inside(key, including_expired=False) else self._n",
    "suggestions": ["Use get, or ask whether the key is there."],
    "location": {"file": "src/package/with/several/levels/solution.py", "line": 14},
    "category": "exception",
}


def alike(stage: Stage) -> None:
    """Twelve tests, ten of which fail for one cause."""
    stage.connection("open")
    stage.status("testing", total_tests=12)
    for number in range(12):
        stage.clock.now += 0.1
        name = LONG_NAMES[number] if number < len(LONG_NAMES) else f"Case {number}"
        if number in (5, 6):
            stage.result(name, ms=100)
            continue
        facts: dict[str, Any] = {"message": "KeyError: 'a'", "expected": f"value {number}", "actual": "KeyError: 'a'"}
        stage.result(name, "failed", 100 + number, **facts)
        stage.send("error_analysis", test_name=name, **LONG_CODE)


CASES: tuple[tuple[str, int, str, dict[str, Any]], ...] = (
    ("sample/1", 0, "passed", {"duration_ms": 12, "cpu_ms": 4, "memory_kb": 3_400}),
    ("sample/2", 0, "passed", {"duration_ms": 15, "cpu_ms": 6, "memory_kb": 3_400}),
    ("secret/small/01", 20, "passed", {"duration_ms": 31, "cpu_ms": 22, "memory_kb": 12_700}),
    ("secret/small/02", 20, "passed", {"duration_ms": 48, "cpu_ms": 39, "memory_kb": 18_900}),
    ("secret/medium/01", 10, "wrong_answer", {"duration_ms": 420, "cpu_ms": 401, "memory_kb": 64_000,
        "message": "Line 3, token 2: expected 17, got 18",
        "expected": "3 1\n5 2\n8 17\n21 4\n", "actual": "3 1\n5 2\n8 18\n21 4\n", "expected_at": 10, "actual_at": 10,
        "input": "2\n3 5\n", "output": "stderr:\nreading\n", "rerun": "subcli test --case secret/medium/01"}),
    ("secret/medium/02", 10, "runtime_error", {"duration_ms": 377, "cpu_ms": 360, "memory_kb": 66_100,
        "message": "the program ended with signal 11 (SIGSEGV)"}),
    ("secret/large/01", 20, "time_limit", {"duration_ms": 2_840, "cpu_ms": 2_003, "memory_kb": 131_000,
        "message": "used more than 2 s of processor time"}),
    ("secret/large/02", 20, "skipped", {"message": "a test of the group failed before"}),
)  # fmt: skip


def cases(stage: Stage, upto: int = len(CASES)) -> None:
    """A problem of cases with groups, points and measured resources."""
    stage.connection("open")
    stage.status("building", attempt=1)
    stage.clock.now += 1.4
    stage.status("testing", total_tests=len(CASES), attempt=1)
    for name, points, outcome, fields in CASES[:upto]:
        stage.clock.now += fields.get("duration_ms", 0) / 1000
        status = outcome if outcome in ("passed", "skipped") else "failed"
        scored: dict[str, Any] = {"score": points if status == "passed" else 0, "max_score": points} if points else {}
        group = name.rpartition("/")[0]
        stage.send("test_result", test_name=name, status=status, outcome=outcome, group=group, **scored, **fields)


GROUPS: tuple[dict[str, Any], ...] = (
    {"name": "sample", "outcome": "passed", "score": 0, "max_score": 0},
    {"name": "secret", "outcome": "wrong_answer", "score": 40, "max_score": 100},
    {"name": "secret/small", "outcome": "passed", "score": 40, "max_score": 40},
    {"name": "secret/medium", "outcome": "wrong_answer", "score": 0, "max_score": 20},
    {"name": "secret/large", "outcome": "time_limit", "score": 0, "max_score": 40},
)


def many(stage: Stage, count: int, id: int = 12, total: int | None = None) -> None:
    """A large run: every 400th fails, every 90th is skipped."""
    stage.connection("open", id)
    stage.status("building", id)
    stage.clock.now += 1.5
    stage.status("testing", id, total_tests=total or count)
    for number in range(1, count + 1):
        stage.clock.now += 0.004
        if number % 400 == 0:
            stage.result(
                f"case {number:04}",
                "failed",
                3.1,
                id,
                message=f"expected {number}, got {number + 1}",
                expected=str(number),
                actual=str(number + 1),
            )
        elif number % 90 == 0:
            stage.result(f"case {number:04}", "skipped", None, id)
        else:
            stage.result(f"case {number:04}", "passed", 1.0 + number % 7, id)
