"""The picture of a submission that leaves the core."""

from __future__ import annotations

import msgspec
import pytest

from subcli.core.submission import Connection, Counts, Stage, Submission


def test_counts_add_up() -> None:
    """Everything that has a result is done; an erred test is not passed either."""
    counts = Counts(passed=4, failed=3, errored=2, skipped=1)
    assert counts.done == 10
    assert counts.not_passed == 5


def test_the_status_is_the_stage_reached_last() -> None:
    """And none before the first."""
    assert Submission(id=1).status is None
    assert Submission(id=1, stages=(Stage("building"), Stage("testing"))).status == "testing"


@pytest.mark.parametrize(
    ("connection", "fields"),
    [
        (Connection("open"), {"state": "open"}),
        (
            Connection("reconnecting", attempt=1, delay_s=0.0, code=1006, reason="reset"),
            {"state": "reconnecting", "attempt": 1, "delay_s": 0.0, "code": 1006, "reason": "reset"},
        ),
    ],
)
def test_a_connection_gives_the_fields_that_apply(connection: Connection, fields: dict[str, object]) -> None:
    """A delay of zero applies; what is not known does not."""
    assert connection.fields() == fields


@pytest.mark.parametrize("value", [Submission(id=1), Counts(), Stage("testing"), Connection("open")])
def test_a_picture_cannot_be_changed(value: msgspec.Struct) -> None:
    """What is handed on is frozen."""
    name = value.__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(value, name, None)
