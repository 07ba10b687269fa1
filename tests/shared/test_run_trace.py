"""The course of a failed test: packed, unpacked, in order."""

from __future__ import annotations

import zlib

import pytest

from subcli.shared.run_trace import (
    MAX_BYTES,
    Mark,
    Place,
    RunTrace,
    Sent,
    as_trace,
    decode_trace,
    digest_of,
    encode_trace,
    in_order,
    overtaken,
    pack,
    unpack,
)


def sent(no: int, arrived: int | None, dest: str = "n2") -> Sent:
    return Sent(no=no, ms=no, src="n1", dest=dest, body={"type": "x"}, arrived_no=arrived)


def test_survives_packing() -> None:
    """What comes out is what went in, in a fraction of the size."""
    trace = RunTrace(seed=3, nodes=("n1", "n2"), messages=tuple(sent(no, no + 1) for no in range(1, 900, 2)))
    packed = pack(encode_trace(trace))
    assert decode_trace(unpack(packed)) == trace
    assert as_trace({"seed": 3, "unknown": 1}) == RunTrace(seed=3)
    assert len(packed) < len(encode_trace(trace)) / 5


@pytest.mark.parametrize("packed", [b"", b"nothing", zlib.compress(b" " * (MAX_BYTES + 1))])
def test_hostile_pack(packed: bytes) -> None:
    """Neither what is not packed nor a bomb is unpacked."""
    with pytest.raises(ValueError, match=r"."):
        unpack(packed)


def test_invalid_trace() -> None:
    """A ValueError, as for anything that a server sends."""
    values: list[object] = [[], {"nodes": 3}, {"messages": [{"no": -1}]}, {"seed": "x"}]
    for value in values:
        with pytest.raises(ValueError, match=r"."):
            as_trace(value)


def test_overtaken() -> None:
    """Only a message of the same two nodes overtakes another."""
    assert overtaken([sent(1, 9), sent(2, 5), sent(3, 8), sent(4, None), sent(5, 7, "n3")]) == {1}
    assert overtaken([sent(1, 9), sent(2, 8), sent(3, 7)]) == {1, 2}


def test_in_order() -> None:
    """Messages twice, when they are sent and when they arrive."""
    trace = RunTrace(messages=(sent(2, 4), sent(3, None)), marks=(Mark(no=1, ms=0, kind="start"),))
    assert [(no, arrival) for no, _, arrival in in_order(trace)] == [(1, False), (2, False), (3, False), (4, True)]


def test_places_and_types() -> None:
    """A number beyond the list is of no place; a body that was cut has no type."""
    trace = RunTrace(places=(Place("a.py", 3),))
    assert trace.place_of(Sent(no=1, ms=1, src="a", dest="b", body="cut", place=0)) == Place("a.py", 3)
    assert trace.place_of(Mark(no=1, ms=1, kind="answer", place=7)) is None
    assert trace.place_of(Mark(no=1, ms=1, kind="answer")) is None
    assert sent(1, None).type == "x"
    assert Sent(no=1, ms=1, src="a", dest="b", body="cut").type == ""


def test_digest_tells_texts_apart() -> None:
    """Their order and their ends count."""
    assert digest_of(["a", "b"]) == digest_of(["a", "b"])
    assert len({digest_of(texts) for texts in (["a", "b"], ["b", "a"], ["ab"], ["ab", ""], [])}) == 5
    assert digest_of(["\ud800"])
