"""The constants of the protocol (specification, "Message Protocol"; contract, section 6)."""

from __future__ import annotations

import pytest

from subcli.shared.protocol import STATUS_RANKS, TERMINAL_STATUSES, CloseCode


def test_terminal_statuses_match_contract() -> None:
    """Section 6 names seven; each ranks above any other status."""
    assert {
        "completed",
        "error",
        "failed",
        "build_failed",
        "deploy_failed",
        "validation_failed",
        "cancelled",
    } == TERMINAL_STATUSES
    last = {STATUS_RANKS[status] for status in TERMINAL_STATUSES}
    assert len(last) == 1
    assert all(rank < max(last) for status, rank in STATUS_RANKS.items() if status not in TERMINAL_STATUSES)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("pending", "building"),
        ("queued", "building"),
        ("submitted", "building"),
        ("building", "built"),
        ("built", "deploying"),
        ("deploying", "testing"),
        ("building", "running"),
        ("running", "completed"),
    ],
)
def test_statuses_are_ordered(earlier: str, later: str) -> None:
    """As a submission goes through them, on our server and on the other platform."""
    assert STATUS_RANKS[earlier] < STATUS_RANKS[later]


def test_close_codes_match_rfc_6455_and_specification() -> None:
    """Each code in the contract has a name."""
    assert [int(code) for code in CloseCode] == [
        *(1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013),
        *(4003, 4004, 4010, 4029),
    ]
