"""Cutting and cleaning what a solution prints."""

from __future__ import annotations

import pytest

from subcli.judge.process.limits import out_of_time
from subcli.judge.process.text import Tail, cut, last_line, shorten, strip_workdir


def test_text_within_the_limit_is_kept() -> None:
    """Up to the last byte, counted in UTF-8."""
    assert cut("äöü", 6) == "äöü"
    assert cut("äöü", 5) != "äöü"


def test_cut_text_keeps_a_third_of_its_start_and_two_of_its_end() -> None:
    """The cause of a failure is usually printed last."""
    assert cut("abcdefghijkl", 9) == "abc\n… [3 bytes cut] …\nghijkl"
    assert cut("abcdefghijkl", 10) == "abc\n… [2 bytes cut] …\nfghijkl"


def test_cutting_leaves_no_half_of_a_character() -> None:
    """What is cut in the middle is left out."""
    assert cut("ä" * 10, 9) == "ä\n… [11 bytes cut] …\näää"


def test_lone_surrogate_is_shown_as_an_escape() -> None:
    """It has no UTF-8."""
    assert cut("\ud800 and more", 9) == "\\ud\n… [6 bytes cut] …\nd more"


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("abcd", "abcd"), ("abcde", "abc…")])
def test_shortening_ends_in_an_ellipsis(text: str, expected: str) -> None:
    """The ellipsis is counted."""
    assert shorten(text, 4) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), (" \n\n", ""), ("one\n  two  \n\n", "two"), ("x" * 500, "x" * 500), ("x" * 501, "x" * 499 + "…")],
)
def test_last_line_is_the_last_that_is_not_blank(text: str, expected: str) -> None:
    """Without the space around it, and at most 500 characters."""
    assert last_line(text) == expected


@pytest.mark.parametrize("directory", ["/tmp/job", "/tmp/job/"])
def test_paths_are_shown_relative_to_the_work_directory(directory: str) -> None:
    """A temporary directory means nothing to a reader."""
    assert strip_workdir("/tmp/job/a.py, /tmp/job/b.py in /tmp/job", directory) == "a.py, b.py in ."


@pytest.mark.parametrize("step", [1, 3, 100])
def test_stream_keeps_its_first_and_last_bytes(step: int) -> None:
    """However it arrives, and it counts all bytes."""
    tail = Tail(8)
    data = b"abcdefghijklmnopqrstuvwxyz"
    for start in range(0, len(data), step):
        tail.add(data[start : start + step])
    assert tail.text() == "abcd\n… [18 bytes cut] …\nwxyz"
    assert tail.total == 26


@pytest.mark.parametrize("data", [b"", b"abc", b"abcdefgh", b"abc\xff"])
def test_short_stream_is_kept(data: bytes) -> None:
    """Bytes that are not UTF-8 are shown as escapes."""
    tail = Tail(8)
    tail.add(data)
    assert tail.text() == data.decode("utf-8", "backslashreplace")


def test_invalid_bytes_at_both_ends_of_a_stream_are_escaped() -> None:
    """As in a short one."""
    tail = Tail(4)
    tail.add(b"a\xffbcd\xff")
    assert tail.text() == "a\\xff\n… [2 bytes cut] …\nd\\xff"


def test_stream_keeps_16_kib_unless_told_otherwise() -> None:
    """Half of it from each end."""
    tail = Tail()
    tail.add(b"a" * 8192 + b"-" + b"z" * 8192)
    assert tail.text() == "a" * 8192 + "\n… [1 bytes cut] …\n" + "z" * 8192


def test_submission_out_of_time_says_how_long_it_may_take() -> None:
    """In the message, without needless digits."""
    evidence = out_of_time(90.0)
    assert (evidence.kind, evidence.limit, evidence.seconds) == ("limit", "submission_time", 90.0)
    assert evidence.message == "the submission took longer than 90 s in all"
