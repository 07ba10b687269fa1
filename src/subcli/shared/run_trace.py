"""The course of a failed test on several nodes: messages, crashes, partitions, and where a rule was broken.

The judge makes it, the server stores it packed (`pack`), clients draw it. Times are milliseconds of simulated time.
What happens in a run is numbered in order (`no`), because much of it happens in the same millisecond. Pure.

The format is additive: readers ignore fields and kinds that they do not know.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, TypeAlias

import msgspec

MAX_PACKED_BYTES: Final = 128 * 1024
MAX_BYTES: Final = 512 * 1024
"""Of a trace as JSON."""
_DIGEST_CHARS: Final = 16

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""Up to the largest integer of JavaScript."""
Body: TypeAlias = dict[str, Any] | str
"""What a message says; as text, cut, if it is too long for a picture."""


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the solution. `text` is the line itself, without its indentation."""

    file: str
    line: Number
    function: str = ""
    text: str = ""


class Sent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A message between nodes.

    Attributes:
        fate: `delivered`; `lost` by the network; `dropped` by a rule of the test; `cut_off` by a partition;
            `crashed`: its receiver was down; `under_way` when the test ended.
        place: which of the trace's `places` sent it.
        broke_rule: whether it is one of those that broke the rule.
    """

    no: Number
    ms: Number
    src: str
    dest: str
    body: Body
    fate: str = "delivered"
    arrived_no: Number | None = None
    arrived_ms: Number | None = None
    place: Number | None = None
    broke_rule: bool = False

    @property
    def type(self) -> str:
        """The type of its body; empty if it was too long to keep."""
        return str(self.body.get("type", "")) if isinstance(self.body, dict) else ""


class Mark(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something that happens to a node, or to the network.

    Attributes:
        kind: `start` (`body` is its `init`), `kill`, `note` (what the test says of a node, such as a change of its
            role), `answer` (to the test), `save`, `partition` (with `groups`), `heal`.
        node: empty for the network.
    """

    no: Number
    ms: Number
    kind: str
    node: str = ""
    text: str = ""
    body: Body | None = None
    groups: tuple[tuple[str, ...], ...] = ()
    place: Number | None = None
    broke_rule: bool = False


class RunTrace(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The course of one cluster up to the end of a failed test.

    Attributes:
        seed: of the cluster; the same seed gives the same course.
        cluster: which of the test's clusters it is, from 1.
        violation: what was wrong, a sentence.
        node: whose fault it is, if that is known.
        moment_no: after which happening the rule was broken, at `moment_ms`.
        noticed_ms: when the test noticed.
        total: how many happenings there were; those numbered below `first_no` are left out.
        digest: of the whole course: equal if two runs were the same.
        source: a digest of the code that was judged.
    """

    version: int = 1
    seed: int = 0
    cluster: Number = 1
    nodes: tuple[str, ...] = ()
    violation: str = ""
    node: str = ""
    moment_no: Number = 0
    moment_ms: Number = 0
    noticed_ms: Number = 0
    total: Number = 0
    first_no: Number = 1
    digest: str = ""
    source: str = ""
    places: tuple[Place, ...] = ()
    messages: tuple[Sent, ...] = ()
    marks: tuple[Mark, ...] = ()

    def place_of(self, each: Sent | Mark) -> Place | None:
        """The line that sent a message or an answer."""
        return self.places[each.place] if each.place is not None and each.place < len(self.places) else None


def overtaken(messages: Iterable[Sent]) -> frozenset[int]:
    """The numbers of messages that arrived after one that the same node sent to the same node later."""
    by_pair: dict[tuple[str, str], list[Sent]] = {}
    for message in messages:
        if message.arrived_no is not None:
            by_pair.setdefault((message.src, message.dest), []).append(message)
    found = set()
    for pair in by_pair.values():
        soonest: int | None = None
        for message in sorted(pair, key=lambda each: each.no, reverse=True):
            arrived = message.arrived_no or 0
            if soonest is not None and arrived > soonest:
                found.add(message.no)
            soonest = arrived if soonest is None else min(soonest, arrived)
    return frozenset(found)


def digest_of(texts: Iterable[str]) -> str:
    """A short digest of texts, in order."""
    made = hashlib.sha256()
    for text in texts:
        made.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return made.hexdigest()[:_DIGEST_CHARS]


def encode_trace(trace: RunTrace) -> bytes:
    """The trace as JSON."""
    return msgspec.json.encode(trace)


def decode_trace(data: bytes | str) -> RunTrace:
    """The trace in a JSON text.

    Raises:
        ValueError: It is not one.
    """
    return msgspec.json.decode(data, type=RunTrace)


def as_trace(value: object) -> RunTrace:
    """The trace in decoded JSON.

    Raises:
        ValueError: It is not one.
    """
    return msgspec.convert(value, RunTrace)


def pack(data: bytes) -> bytes:
    """A trace's JSON, compressed. Traces repeat themselves: a twentieth is usual."""
    return zlib.compress(data, 9)


def unpack(packed: bytes) -> bytes:
    """What `pack` was given.

    Raises:
        ValueError: It is not packed, or longer than a trace may be.
    """
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(packed, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpacking.eof:
        raise ValueError("the trace is too long")
    return data


def in_order(trace: RunTrace) -> Iterator[tuple[int, Sent | Mark, bool]]:
    """What happened, in order: its number, what it is, and whether it is the arrival of a message."""
    happened: list[tuple[int, Sent | Mark, bool]] = [(mark.no, mark, False) for mark in trace.marks]
    for message in trace.messages:
        happened.append((message.no, message, False))
        if message.arrived_no is not None:
            happened.append((message.arrived_no, message, True))
    yield from sorted(happened, key=lambda each: (each[0], each[2]))
