"""How a log is stored once nobody adds to it: kept to the byte, in few bytes. Pure."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from subcli.server.log.packing import PART_BYTES, DamagedError, dictionary_of, fits, pack, parts, unpack
from subcli.shared.encoding import encode

SECRET = "what the solution printed"


def log_of(number: int, tests: int = 25, prefix: str = "t") -> list[tuple[str, str]]:
    """A log as a judge writes one; every fourth test fails."""
    chance = random.Random(number)
    found: list[tuple[str, dict[str, Any]]] = [
        ("status_update", {"status": "pending", "attempt": 1, "queue_position": chance.randrange(30)})
    ]
    for test in range(tests):
        failed = test % 4 == 3
        more = {"message": f"{SECRET} {chance.random()}", "output": SECRET} if failed else {}
        result = {
            "test_id": f"{prefix}/nodes.py::test_{test}",
            "test_name": f"Leader {prefix} elected again {test}",
            "status": "failed" if failed else "passed",
            "duration_ms": round(chance.random() * 900, 1),
            "test_type": "functional",
            **more,
        }
        found.append(("test_result", result))
        if failed:
            analysis = {"test_id": result["test_id"], "analysis": SECRET, "suggestions": [SECRET]}
            found.append(("error_analysis", analysis))
    found.append(("complete", {"final_status": "failed", "summary": {"total_tests": tests, "passed": tests}}))
    common = {"timestamp": "2026-11-28T09:00:00.000Z", "submission_id": number}
    return [
        (kind, encode({"type": kind, **fields, **common, "seq": seq})) for seq, (kind, fields) in enumerate(found, 1)
    ]


def test_a_log_comes_back_to_the_byte() -> None:
    """Whatever is in it, with any dictionary."""
    odd = [*log_of(1), ("a type\nof tomorrow\t", '{"text":"é\\u0000\U0001f600"}'), ("complete", "")]
    for dictionary in (dictionary_of(log_of(2)), dictionary_of([]), dictionary_of([("x", "[]")])):
        assert unpack(pack(odd, dictionary), dictionary) == odd
    assert unpack(pack([], b"{}"), b"{}") == []


def test_a_log_takes_a_tenth_with_the_dictionary_of_its_problem() -> None:
    """Of its own bytes, that is; and less than without a dictionary."""
    dictionary = dictionary_of(log_of(1))
    log = log_of(2)
    size = sum(len(payload) for _, payload in log)
    packed = len(pack(log, dictionary))
    assert packed * 7 < size
    assert packed < len(pack(log, b"{}"))


def test_another_dictionary_is_noticed() -> None:
    """As is any damage: nothing is shown that was not stored so."""
    dictionary = dictionary_of(log_of(1))
    packed = pack(log_of(2), dictionary)
    for damaged, other in ((packed, b"{}"), (packed[:-1], dictionary), (b"", dictionary), (b"\0" + packed, dictionary)):
        with pytest.raises(DamagedError):
            unpack(damaged, other)
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 1
    with pytest.raises(DamagedError):
        unpack(bytes(flipped), dictionary)


def test_a_dictionary_has_nothing_of_a_solution() -> None:
    """It stays when a submission is deleted: names that the author gave, but no output, no message and no time."""
    dictionary = dictionary_of(log_of(1)).decode()
    assert "Leader t elected again 7" in dictionary
    assert SECRET not in dictionary
    assert "2026" not in dictionary
    odd = json.dumps({"type": "complete", "summary": {"passed": 3, "who": SECRET}, "test_name": [SECRET], "x": SECRET})
    assert SECRET not in dictionary_of([("complete", odd)]).decode()


def test_a_dictionary_fits_its_problem() -> None:
    """Until most of the tests have other names; one that has no tests fits any."""
    dictionary = dictionary_of(log_of(1))
    assert fits(dictionary, log_of(2))
    assert not fits(dictionary, log_of(2, prefix="new"))
    assert fits(b"{}", log_of(3, tests=0))
    assert len(dictionary_of(log_of(1, tests=2000))) <= 16 * 1024


def test_parts_are_bounded() -> None:
    """A reader in the middle of a long log holds one of them."""
    log = [("test_result", "x" * (PART_BYTES // 4))] * 9
    assert [len(part) for part in parts(log)] == [4, 4, 1]
    assert list(parts([])) == []
