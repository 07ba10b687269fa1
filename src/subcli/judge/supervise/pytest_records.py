"""What pytest's process reports to the supervisor: records, each as a line of JSON.

A run of tests is one `CollectedRecord`, then a `StartedRecord` and a `FinishedRecord` for each test, with an
`OutputRecord` in between for whatever the solution prints, if somebody wants to know. The supervisor answers a
`FinishedRecord` with a line, and the next test waits for it. A `CrashedRecord` says that the tests themselves are at
fault.

In the other direction pytest's process first reads one line: the `NodePlan` of the solution.
"""

from __future__ import annotations

import json
from typing import Literal

import msgspec

from subcli.judge.evidence import Evidence

Status = Literal["passed", "failed", "error", "skipped"]


class CollectedRecord(msgspec.Struct, frozen=True, tag="collected"):
    """The tests are known."""

    total: int


class StartedRecord(msgspec.Struct, frozen=True, tag="started"):
    """A test begins."""

    test_id: str
    name: str = ""


class OutputRecord(msgspec.Struct, frozen=True, omit_defaults=True, tag="output"):
    """The solution has written something to stderr."""

    test_id: str
    node: str
    data: bytes
    skipped: int = 0
    """How many bytes after it are left out."""


class FinishedRecord(msgspec.Struct, frozen=True, omit_defaults=True, tag="finished"):
    """A test has ended, its fixtures included."""

    test_id: str
    name: str
    kind: str
    status: Status
    duration_ms: int
    message: str = ""
    """Why it was skipped, or what is wrong with the test itself."""
    output: str = ""
    """What the solution wrote to stderr."""
    evidence: Evidence | None = None
    """Set if the test failed."""
    trace: str = ""
    """The `RunTrace` of the cluster that failed, in JSON."""


class CrashedRecord(msgspec.Struct, frozen=True, tag="crashed"):
    """The tests could not be collected, or pytest itself failed."""

    message: str


Record = CollectedRecord | StartedRecord | OutputRecord | FinishedRecord | CrashedRecord

decode = msgspec.json.Decoder(Record).decode
_encoder = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """The record as one line."""
    try:
        return _encoder.encode(record) + b"\n"
    except UnicodeEncodeError:
        # Half a surrogate pair: `"\ud800"` in the JSON of a solution, quoted in a message. It becomes a question mark.
        return json.dumps(msgspec.to_builtins(record), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
