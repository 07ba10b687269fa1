"""A replay is compared with the record."""

from __future__ import annotations

import msgspec
import pytest

from subcli.core.replay import compare
from subcli.shared.run_trace import Mark, RunTrace, Sent

RECORDED = RunTrace(
    seed=51,
    violation="two leaders",
    moment_ms=40,
    digest="d",
    source="s",
    messages=(
        Sent(no=2, ms=10, src="n1", dest="n2", body={"type": "x"}, arrived_no=4, arrived_ms=30, place=0),
        Sent(no=3, ms=20, src="n2", dest="n1", body={"type": "y"}),
    ),
    marks=(Mark(no=1, ms=0, kind="start", node="n1"),),
)


def changed(**fields: object) -> RunTrace:
    return msgspec.structs.replace(RECORDED, **fields)


@pytest.mark.parametrize(
    ("here", "status", "same", "identical", "detail"),
    [
        (RECORDED, "failed", True, True, "The same violation at 40 ms of simulated time."),
        (None, "passed", False, False, "It passes here."),
        (None, "failed", False, False, "It fails here in another way."),
        (changed(violation="none"), "failed", False, True, "Another violation: none."),
        (
            changed(violation="none", digest="e", source="t"),
            "failed",
            False,
            False,
            "Another violation: none. The code has changed since it was submitted.",
        ),
        (
            changed(digest="e", messages=RECORDED.messages[:1]),
            "failed",
            True,
            False,
            "The same violation at 40 ms of simulated time. The course differs from 20 ms on. The code is the same, so "
            "it depends on something besides the seed, such as the clock, or random numbers "
            "that are seeded with nothing.",
        ),
    ],
)
def test_compare(here: RunTrace | None, status: str, same: bool, identical: bool, detail: str) -> None:
    """The same violation at the same moment; and whether all before it was the same."""
    found = compare("t", "Split Vote", RECORDED, here, status)
    assert (found.same, found.identical, found.detail, found.seed) == (same, identical, detail, 51)
    assert found.event()["type"] == "replay"


@pytest.mark.parametrize("field", ["violation", "cluster", "seed", "moment_ms"])
def test_other_violations(field: str) -> None:
    """Whatever of these differs makes it another one."""
    value: object = "other" if field == "violation" else 99
    assert not compare("t", "T", RECORDED, changed(**{field: value}), "failed").same


def test_first_difference() -> None:
    """By what has happened, not by lines of code; from where both have kept it."""
    moved = tuple(msgspec.structs.replace(message, place=3) for message in RECORDED.messages)
    assert "differs" not in compare("t", "T", RECORDED, changed(digest="e", messages=moved), "failed").detail
    later = (RECORDED.messages[0], msgspec.structs.replace(RECORDED.messages[1], ms=25))
    assert "differs from 20 ms on" in compare("t", "T", RECORDED, changed(digest="e", messages=later), "failed").detail
    marked = changed(digest="e", marks=(Mark(no=1, ms=0, kind="start", node="n2"),))
    assert "differs from 0 ms on" in compare("t", "T", RECORDED, marked, "failed").detail
    cut = msgspec.structs.replace(marked, first_no=2)
    assert "differs" not in compare("t", "T", RECORDED, cut, "failed").detail
