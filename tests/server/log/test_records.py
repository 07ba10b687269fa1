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


def test_marker_says_how_much_was_cut() -> None:
    """Only what is too long is cut, as little as possible, wherever it stands."""
    event = json.loads(encode_within({**NEEDED, "output": "x" * 70_000, "analysis": {"notes": ["y" * 60_000, "z"]}}))
    assert event["output"] == "x" * 16_384 + "… [53616 characters cut]"
    assert event["analysis"] == {"notes": ["y" * 16_384 + "… [43616 characters cut]", "z"]}
    event = json.loads(encode_within({**NEEDED, **{f"field{n}": "x" * 20_000 for n in range(20)}}))
    assert {event[f"field{n}"] for n in range(20)} == {"x" * 1024 + "… [18976 characters cut]"}


def test_long_lists_keep_their_beginning() -> None:
    """A hundred items, also of lists within others."""
    event = json.loads(
        encode_within({**NEEDED, "suggestions": ["x" * 1000] * 101, "rows": {"all": [[n] * 300 for n in range(300)]}})
    )
    assert len(event["suggestions"]) == 100
    assert event["rows"]["all"] == [[n] * 100 for n in range(100)]


def test_of_too_many_fields_the_known_ones_are_kept() -> None:
    """What the specification requires, and what readers need most; long texts and lists in them are cut once more."""
    known = {
        **NEEDED,
        "timestamp": "2026-01-01T00:00:00.000Z",
        "duration_ms": 5,
        "error": "e" * 100,
        "analysis": "a",
        "suggestions": ["s" * 100] * 20,
        "final_status": "failed",
        "summary": {"passed": 1},
        "test_id": 3,
        "attempt": 2,
        "epoch": "name",
        "outcome": "wrong-answer",
        "cpu_ms": 1,
        "memory_kb": 2,
        "group": "samples",
        "score": 1.5,
        "max_score": 3,
    }
    event = json.loads(encode_within({**{f"field{n}": n for n in range(10_000)}, **known}))
    cut = {"error": "e" * 64 + "… [36 characters cut]", "suggestions": ["s" * 64 + "… [36 characters cut]"] * 10}
    assert event == {**known, **cut}


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_event_of_exactly_the_limit_is_whole(letter: str) -> None:
    """It is counted in bytes; of one that is a byte longer, a text is cut."""
    event = {**NEEDED, "output": letter * 500}
    size = len(encode_within(event).encode())
    assert json.loads(encode_within(event, size)) == event
    assert "characters cut]" in encode_within({**event, "output": letter * 2000}, size)
    assert len(encode_within(event, size - 1).encode()) < size


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=20), inner, max_size=8),
    max_leaves=30,
)


@pytest.mark.thorough
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
