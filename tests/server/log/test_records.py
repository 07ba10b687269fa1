"""No message is larger than 64 KB, whatever a judge says (specification, "Server Configuration")."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from subcli.server.log.records import encode_within, record, text_frame
from subcli.shared.protocol import MAX_MESSAGE_BYTES

NEEDED = {"type": "test_result", "submission_id": 1, "seq": 5, "test_name": "One", "status": "failed"}


def test_a_small_event_is_unchanged() -> None:
    """An event that fits is sent as it is."""
    event = {**NEEDED, "output": "x" * 60_000, "new": [1, {"a": None}]}
    assert json.loads(encode_within(event)) == event


@pytest.mark.parametrize(
    "output",
    ["x" * 200_000, "\x1b" * 50_000, "é" * 60_000, "😀" * 40_000, "\ud800" * 30_000],
    ids=["ascii", "escapes", "two-byte", "four-byte", "surrogates"],
)
def test_a_long_text_is_cut_with_a_marker(output: str) -> None:
    """A long output is cut, says how much is missing, and leaves the other fields whole."""
    text = encode_within({**NEEDED, "output": output})
    assert len(text.encode()) <= MAX_MESSAGE_BYTES
    event = json.loads(text)
    assert "characters cut]" in event["output"]
    assert {name: event[name] for name in NEEDED} == NEEDED


def test_a_lone_surrogate_is_replaced() -> None:
    """Text that cannot be encoded in UTF-8 does not stop an event."""
    assert json.loads(encode_within({**NEEDED, "output": "a\ud800b"}))["output"] == "a?b"


@pytest.mark.parametrize(
    "more",
    [
        {"suggestions": ["x" * 1000] * 1000},
        {f"field{n}": "x" * 200 for n in range(5000)},
        {"nested": {"deep": [{"text": "y" * 100_000}] * 50}},
    ],
    ids=["list", "fields", "nested"],
)
def test_large_collections_are_cut(more: dict[str, Any]) -> None:
    """Many long items, or many fields, still make a message with the fields that its type needs."""
    text = encode_within({**NEEDED, **more})
    assert len(text.encode()) <= MAX_MESSAGE_BYTES
    event = json.loads(text)
    assert {name: event[name] for name in NEEDED} == NEEDED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=20), inner, max_size=8),
    max_leaves=30,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(more=st.dictionaries(st.text(max_size=20), JSON, max_size=20))
def test_any_event_fits_a_small_limit(more: dict[str, Any]) -> None:
    """Whatever the other fields are, the encoded event keeps to the limit and keeps the required fields."""
    text = encode_within({**more, **NEEDED}, limit_bytes=2000)
    assert len(text.encode()) <= 2000
    assert "\n" not in text
    assert json.loads(text)["seq"] == 5


def test_a_record_carries_its_frame() -> None:
    """The frame is what a server's WebSocket sends: FIN and text, unmasked, with its length."""
    made = record(3, "é" * 70, last=False)
    assert made.frame == bytes([0x81, 126, 0, 140]) + ("é" * 70).encode()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_frame_equals_that_of_the_library(size: int) -> None:
    """At each length at which RFC 6455, section 5.2, changes the header."""
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
