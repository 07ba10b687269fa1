"""The messages of the specification as frozen values. Pure: no I/O, no clock.

Server to client, each a JSON object in one text frame (specification, "Message Protocol")::

    status_update   a stage of judging was reached
    test_result     one test ended
    error_analysis  why one test failed
    complete        the verdict; nothing follows
    output          what a build or a test prints: ours, and only for clients that ask

Anything else that has a ``type`` is an :class:`Unknown` event: kept, shown in JSON, otherwise ignored.
There are also bare texts that are not JSON: ``pong`` (the answer to our ping) and ``ping`` (ours; some platforms send
it as well and expect ``pong``).

An event keeps the mapping it was decoded from (``raw``) besides its typed fields, so that unknown fields are passed on.
The classes themselves refuse them: what is decoded straight into a class has been read to its last value.
:mod:`subcli.shared.decoding` makes events from frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import msgspec

from subcli.shared.protocol import OUTPUT

Raw: TypeAlias = Mapping[str, Any]
Seq: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
"""From 1 to the largest integer of JavaScript; anything else counts as absent."""

Word: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class GroupSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outcome of a group of tests, according to the server.

    Attributes:
        name: such as ``secret/small``.
        outcome: how it ended, in the words of :attr:`TestResult.outcome`.
        score: its points, out of ``max_score``.
    """

    name: Word
    outcome: Word | None = None
    score: float | None = None
    max_score: float | None = None


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The summary in ``complete``: counts, and points and groups if there are any. None overrides the verdict."""

    total_tests: int | None = None
    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    duration_ms: float | None = None
    score: float | None = None
    max_score: float | None = None
    pass_score: float | None = None
    groups: tuple[GroupSummary, ...] = ()


class ChangedTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A test that ended differently than in an earlier submission, or took much longer.

    Attributes:
        change: ``newly_passing``, ``newly_failing`` or ``slower``.
        before_ms: how long a slower test took before; ``duration_ms``: how long it takes now.
    """

    test_name: str
    change: Word
    before_ms: float | None = None
    duration_ms: float | None = None


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``compared_to`` in ``complete``: the verdict compared with one's previous submission to the same problem.

    Attributes:
        previous: the id of that submission.
        previous_run: if this one was judged again: its own run with which it is compared, and not another submission.
        newly_passing: how many tests pass now and did not before; ``newly_failing`` and ``slower`` likewise.
        tests: the first of them.
    """

    previous: int
    newly_passing: int = 0
    newly_failing: int = 0
    slower: int = 0
    tests: tuple[ChangedTest, ...] = ()
    previous_run: int | None = None


class Location(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place in the submitted code."""

    file: str
    line: int | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """One server message about a submission. ``raw`` is the mapping it came as.

    Attributes:
        submission_id: as the server sent it, if it did.
        seq: position in the submission's log, from 1 without holes; ``None`` from servers without it.
        epoch: the name of that log; only the event with ``seq`` 1 has it.
        timestamp: as the server wrote it.
    """

    frame: ClassVar[str | None] = None
    """The JSON text that this event was decoded from, where each of its characters is visible and stands for itself.

    That is: printable ASCII on one line, without ``\\u`` escapes, all fields known, and all numbers in range.
    """
    submission_id: int | str | None = None
    seq: Seq | None = None
    epoch: Word | None = None
    timestamp: str | None = None

    @property
    def raw(self) -> Raw:
        """The mapping that this event was decoded from, with every field."""
        kept = self.__dict__
        if "raw" not in kept:
            kept["raw"] = msgspec.json.decode(kept["frame"])
        raw: Raw = kept["raw"]
        return raw

    @property
    def type(self) -> str:
        """The message's ``type``."""
        return str(self.raw["type"])


class StatusUpdate(Event, frozen=True, kw_only=True, tag_field="type", tag="status_update"):
    """``status_update``: a stage was reached.

    Attributes:
        running_test: the name of the test that has been running for ``running_ms``; only while it takes long.
    """

    status: Word
    total_tests: int | None = None
    queue_position: int | None = None
    attempt: int | None = None
    detail: str | None = None
    progress: float | None = None
    running_test: str | None = None
    running_ms: float | None = None


class Row(msgspec.Struct, frozen=True):
    """The position of a result in a REST listing, which distinguishes results that ids and names do not.

    Attributes:
        id: the row's own id, or its place among its namesakes.
        namesakes: how many rows of the same type and name there are, itself included, ended or not.
    """

    id: str
    namesakes: int


class TestResult(Event, frozen=True, kw_only=True, tag_field="type", tag="test_result"):
    """``test_result``: one test ended.

    Attributes:
        expected_at: where ``expected`` begins to differ from ``actual``, in characters; ``actual_at`` likewise.
        input: the beginning of the program's input. rerun: the command that runs this test on the user's machine.
        seed: of the simulated network in which it failed. has_trace: whether the server has kept how it failed.
        outcome: how it ended, in one word that says more than ``status``, such as ``wrong_answer``.
        duration_ms: wall-clock time.
        cpu_ms: processor time of the solution.
        memory_kb: peak memory use.
        group: the innermost group of tests that it belongs to.
        score: its own points, out of ``max_score``; :attr:`Summary.groups` has the points of its group.
    """

    __test__: ClassVar[bool] = False  # not a test class, despite its name
    test_name: str
    status: Word
    duration_ms: float | None = None
    test_id: int | str | None = None
    test_type: str | None = None
    message: str | None = None
    expected: Any = None
    actual: Any = None
    expected_at: int | None = None
    actual_at: int | None = None
    input: str | None = None
    output: str | None = None
    rerun: str | None = None
    seed: int | None = None
    has_trace: bool | None = None
    error_category: str | None = None
    outcome: Word | None = None
    cpu_ms: float | None = None
    memory_kb: float | None = None
    group: str | None = None
    score: float | None = None
    max_score: float | None = None

    row: ClassVar[Row | None] = None
    """Its row, if it was listed over REST instead of sent over the socket."""
    number: ClassVar[int]
    """Which test of the submission this is, counted from 0; set by the watch that takes the result."""


class ErrorAnalysis(Event, frozen=True, kw_only=True, tag_field="type", tag="error_analysis"):
    """``error_analysis``: why something failed, and what to do about it."""

    error: str = ""
    analysis: str = ""
    suggestions: tuple[str, ...] = ()
    test_id: int | str | None = None
    test_name: str | None = None
    test_type: str | None = None
    category: str | None = None
    location: Location | None = None


class Complete(Event, frozen=True, kw_only=True, tag_field="type", tag="complete"):
    """``complete``: the verdict. ``final_status`` alone decides (contract, section 1)."""

    final_status: Word
    summary: Summary = Summary()
    compared_to: Comparison | None = None


class Output(Event, frozen=True, kw_only=True, tag_field="type", tag=OUTPUT):
    """``output``: what a build or a test has printed. It is no part of the log, so it has no ``seq``.

    Attributes:
        stream: ``build``, ``stdout`` or ``stderr``.
        text: a piece of it, which may begin and end anywhere.
        test_id: the test that it belongs to; ``None`` for a build, or where it is not known.
        node: which of several processes printed it.
        output_seq: its number, from 1 without holes.
        after_seq: the ``seq`` of the event that it follows.
    """

    stream: str = ""
    text: str = ""
    test_id: int | str | None = None
    node: str | None = None
    output_seq: Seq | None = None
    after_seq: int | None = None


class Unknown(Event, frozen=True, kw_only=True):
    """An event of an unknown type."""


class Control(msgspec.Struct, frozen=True):
    """A bare text that is not JSON. ``reply`` is what the sender expects, if anything."""

    text: str
    reply: str | None = None


Message: TypeAlias = StatusUpdate | TestResult | ErrorAnalysis | Complete | Output | Unknown

MESSAGES: Final[Mapping[str, type[Message]]] = {
    str(cls.__struct_config__.tag): cls for cls in (StatusUpdate, TestResult, ErrorAnalysis, Complete, Output)
}
"""The messages of the specification, and our own, by their ``type``."""


def required_fields(kind: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """The required and the optional fields of a type in :data:`MESSAGES`, beside those that every event may have."""
    fields = msgspec.structs.fields(MESSAGES[kind])
    required = frozenset(field.encode_name for field in fields if field.required)
    outer = ("submission_id", "timestamp")
    return required, tuple(field.encode_name for field in fields if field.encode_name not in (*required, *outer))
