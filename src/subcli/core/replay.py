"""Compares a failure that was replayed here with the one that the server recorded. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from subcli.shared.run_trace import Mark, RunTrace, Sent, in_order


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay has shown of one test.

    Attributes:
        same: whether the same rule was broken in the same way at the same moment.
        identical: whether all that happened before was the same too.
        detail: what is to be said of it, as sentences. Foreign text.
    """

    test_id: str
    test_name: str
    seed: int
    same: bool
    identical: bool
    detail: str

    def event(self) -> dict[str, object]:
        """As an event of the type `replay`."""
        return {"type": "replay", **msgspec.structs.asdict(self)}


def compare(test_id: str, test_name: str, recorded: RunTrace, here: RunTrace | None, status: str) -> Replayed:
    """Compare a replay with the record.

    Args:
        test_id: the test.
        test_name: its name.
        recorded: its course on the server.
        here: its course here; None if there is none.
        status: how it ended here.
    """
    if status == "passed":
        same, identical, detail = False, False, "It passes here."
    elif here is None:
        same, identical, detail = False, False, "It fails here in another way."
    else:
        same, identical = _is_same(recorded, here), recorded.digest == here.digest
        detail = _detail(recorded, here, same=same, identical=identical)
    return Replayed(
        test_id=test_id, test_name=test_name, seed=recorded.seed, same=same, identical=identical, detail=detail
    )


def _is_same(recorded: RunTrace, here: RunTrace) -> bool:
    return (recorded.violation, recorded.cluster, recorded.seed, recorded.moment_ms) == (
        here.violation,
        here.cluster,
        here.seed,
        here.moment_ms,
    )


def _detail(recorded: RunTrace, here: RunTrace, *, same: bool, identical: bool) -> str:
    told = (
        f"The same violation at {here.moment_ms} ms of simulated time."
        if same
        else f"Another violation: {here.violation}."
    )
    if identical:
        return told
    parts = [told]
    first = _first_difference(recorded, here)
    if first is not None:
        parts.append(f"The course differs from {first} ms on.")
    if recorded.source == here.source:
        parts.append(
            "The code is the same, so it depends on something besides the seed, such as the clock, or random numbers "
            "that are seeded with nothing."
        )
    else:
        parts.append("The code has changed since it was submitted.")
    return " ".join(parts)


def _first_difference(recorded: RunTrace, here: RunTrace) -> int | None:
    """The simulated time of the first difference, in milliseconds; None if it lies before what was kept."""
    start = max(recorded.first_no, here.first_no)
    ours, theirs = (dict(_facts(trace, start)) for trace in (here, recorded))
    for no in sorted(ours.keys() | theirs.keys()):
        if ours.get(no) != theirs.get(no):
            return min(facts[no][0] for facts in (ours, theirs) if no in facts)
    return None


def _facts(trace: RunTrace, start: int) -> Iterator[tuple[int, tuple[int, str]]]:
    """What has happened, by number: when, and what. Not the lines of code: a comment moves them."""
    for no, happened, is_arrival in in_order(trace):
        if no >= start:
            what = happened.body if isinstance(happened, Sent) else (happened.kind, happened.node, happened.text)
            more = happened.body if isinstance(happened, Mark) else (happened.src, happened.dest, is_arrival)
            ms = (happened.arrived_ms or 0) if is_arrival and isinstance(happened, Sent) else happened.ms
            yield no, (ms, json.dumps([what, more]))
