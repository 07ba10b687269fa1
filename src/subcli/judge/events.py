"""The judge's events as mappings (contract, section 6), bounded in size."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from subcli.judge.process.text import cut

if TYPE_CHECKING:
    from subcli.judge.analysis.finding import Finding
    from subcli.judge.outcome import Outcome

Event = dict[str, object]
TimeOut: TypeAlias = Literal["", "undisturbed", "contended"]
"""Whether something took too long, and whether the machine had other things to do meanwhile."""

_GROUPS_BYTES = 24_000
CONTENDED = "Judged again with nothing beside it: it ran out of time while the machine was busy."
"""What is told when a verdict does not count, because of `time_out`."""

MAX_BYTES = 48_000
"""A message may have 64 KB (specification, "Server Configuration"); the server adds fields of its own."""


@dataclass(frozen=True)
class Measured:
    """A test's resource usage and points, if known.

    Attributes:
        cpu_ms: processor time of the solution.
        memory_kb: the most memory that one of its processes used at once.
        group: the group of tests that it belongs to.
        score: the points that it was given.
        max_score: the most that it can be given.
    """

    cpu_ms: int | None = None
    memory_kb: int | None = None
    group: str = ""
    score: float | None = None
    max_score: float | None = None


NOT_MEASURED = Measured()


@dataclass(frozen=True)
class GroupResult:
    """What became of a group of tests. How it follows from their results is the problem's affair.

    Attributes:
        name: such as `secret/small`; tests name the innermost group that they are in.
        outcome: how it ended; `skipped` if it never began.
        score: its points.
        max_score: the most that it can be worth.
    """

    name: str
    outcome: Outcome
    score: float | None = None
    max_score: float | None = None


@dataclass(frozen=True)
class Graded:
    """What the judge says of a case or a group to its caller alone, who may know everything. It is no event.

    Attributes:
        name: of the case or the group; that of the whole is empty.
        is_group: whether it is a group.
        outcome: how it ended.
        score: its points.
        message: what the checker says to the judges.
        cpu_ms: processor time of the solution.
    """

    name: str
    is_group: bool
    outcome: Outcome
    score: float | None = None
    message: str = ""
    cpu_ms: int = 0

    def as_json(self) -> Event:
        """As one line of the supervisor's."""
        return {"type": GRADE, **asdict(self)}

    @staticmethod
    def from_json(line: Mapping[str, Any]) -> Graded:
        """What `as_json` described."""
        return Graded(**{key: value for key, value in line.items() if key != "type"})


OUTPUT = "output"
"""The type of what is printed, which comes only if the job asks for it."""
GRADE = "grade"
"""The type of the lines that are no events."""
RUN_TRACE = "run_trace"
"""The type of the events that carry the trace of a failed test, before its result, to a caller who wants them."""


def status_update(status: str, **more: object) -> Event:
    """A stage of judging begins."""
    return _without_empty({"type": "status_update", "status": status, **more})


def result(
    *,
    test_id: str,
    test_name: str,
    test_type: str,
    status: str,
    duration_ms: int,
    message: str = "",
    expected: str = "",
    actual: str = "",
    expected_at: int | None = None,
    actual_at: int | None = None,
    given: str = "",
    output: str = "",
    rerun: str = "",
    seed: int | None = None,
    outcome: Outcome,
    measured: Measured = NOT_MEASURED,
) -> Event:
    """A test has ended. If its trace is known, it has a `seed`."""
    return _without_empty(
        {
            "type": "test_result",
            "test_id": test_id,
            "test_name": test_name,
            "test_type": test_type,
            "status": status,
            "duration_ms": duration_ms,
            "message": message,
            "expected": expected,
            "actual": actual,
            "expected_at": expected_at,
            "actual_at": actual_at,
            "input": given,
            "output": output,
            "rerun": rerun,
            "seed": seed,
            "has_trace": None if seed is None else True,
            "outcome": outcome,
            "cpu_ms": measured.cpu_ms,
            "memory_kb": measured.memory_kb,
            "group": measured.group,
            "score": measured.score,
            "max_score": measured.max_score,
        }
    )


def output(stream: str, text: str, *, test_id: str = "", node: str = "") -> Event:
    """Something was printed, by a build or while a test runs."""
    return _without_empty({"type": OUTPUT, "test_id": test_id, "node": node, "stream": stream, "text": text})


def run_trace(test_id: str, seed: int, packed: bytes) -> Event:
    """The trace of a test that has failed, packed."""
    return {"type": RUN_TRACE, "test_id": test_id, "seed": seed, "packed": base64.b64encode(packed).decode()}


def packed_of(event: Mapping[str, object]) -> bytes:
    """The packed trace that an event carries."""
    return base64.b64decode(str(event["packed"]))


def error_analysis(finding: Finding, *, test_id: str = "", test_name: str = "") -> Event:
    """An explained failure; without a test it belongs to the submission as a whole."""
    place = finding.location
    event = _without_empty(
        {
            "type": "error_analysis",
            "test_id": test_id,
            "test_name": test_name,
            "error": finding.error,
            "analysis": finding.analysis,
            "category": finding.category,
            "location": {"file": place.file, "line": place.line} if place else None,
        }
    )
    return {**event, "suggestions": list(finding.suggestions)}


def group_results(groups: Iterable[GroupResult]) -> list[Event]:
    """The groups as `complete.summary` carries them; the first ones, if all would be too long."""
    told: list[Event] = []
    size = 0
    for group in groups:
        event = _without_empty(asdict(group))
        size += len(json.dumps(event))
        if size > _GROUPS_BYTES:
            break
        told.append(event)
    return told


def complete(final_status: str, summary: Mapping[str, object], time_out: TimeOut = "") -> Event:
    """The verdict, always the last event. `time_out` is for the judge's caller, not for those who submit."""
    return _without_empty(
        {"type": "complete", "final_status": final_status, "summary": dict(summary), "time_out": time_out}
    )


def encode(event: Event) -> bytes:
    """The event as one line of at most `MAX_BYTES`: the longest text is halved until the line fits.

    A trace may be longer: it is no message, and is bounded where it is made.
    """
    line = json.dumps(event).encode()
    while len(line) > MAX_BYTES and event["type"] != RUN_TRACE:
        texts = {key: value for key, value in event.items() if isinstance(value, str)}
        longest = max(texts, key=lambda key: len(texts[key]))
        event = {**event, longest: cut(texts[longest], len(texts[longest]) // 2)}
        line = json.dumps(event).encode()
    return line + b"\n"


def _without_empty(event: Event) -> Event:
    return {key: value for key, value in event.items() if value not in ("", None)}
