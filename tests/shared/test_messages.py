"""The messages of the specification, as the JSON Schema lists them."""

from __future__ import annotations

from subcli.shared.messages import required_fields


def test_required_fields_can_be_listed() -> None:
    """The JSON Schema is built from them."""
    needed, optional = required_fields("test_result")
    assert needed == {"test_name", "status"}
    assert "seq" in optional
    assert "duration_ms" in optional
    assert not needed & set(optional)
    assert not {"submission_id", "timestamp"} & set(optional)
