"""The snapshot of a submission that views draw."""

from __future__ import annotations

import msgspec
import pytest

from subcli.core.submission import LOCAL_ID, Connection, Counts, Stage, Submission


def test_counts() -> None:
    """Every test with a result is done; an errored test did not pass."""
    counts = Counts(passed=4, failed=3, errored=2, skipped=1)
    assert counts.done == 10
    assert counts.not_passed == 5


def test_status_is_latest_stage() -> None:
    """`None` before the first stage."""
    assert Submission(id=1).status is None
    assert (Submission(id=12).name, Submission(id=LOCAL_ID).name) == ("#12", "this machine")
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
def test_connection_fields(connection: Connection, fields: dict[str, object]) -> None:
    """A delay of zero is included; unknown fields are not."""
    assert connection.fields() == fields


@pytest.mark.parametrize("value", [Submission(id=1), Counts(), Stage("testing"), Connection("open")])
def test_snapshot_is_frozen(value: msgspec.Struct) -> None:
    """It cannot be changed."""
    name = value.__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(value, name, None)
