"""Cutting and cleaning what a solution prints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import subcli.judge
from subcli.judge.process.limits import out_of_time
from subcli.judge.process.text import ServerPaths, Tail, cut, decode, decode_beginning, last_line, shorten


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


@pytest.mark.parametrize("data", ["aäß€", "€ 😀", "😀😀"])
def test_decoding_leaves_no_half_of_a_character(data: str) -> None:
    """Wherever the bytes begin and end."""
    raw = data.encode()
    for start in range(len(raw)):
        for stop in range(start, len(raw) + 1):
            text = decode(raw[start:stop], cut_before=start > 0, cut_after=stop < len(raw))
            assert text in data
            assert len(text.encode()) > stop - start - 7
    assert [decode_beginning(raw, size) for size in (0, len(raw), 100)] == ["", data, data]


def test_decoding_shows_what_is_not_utf_8() -> None:
    """As escapes; a character that is not finished is one, unless it was cut."""
    assert decode(b"\xffa\xe2\x82") == "\\xffa\\xe2\\x82"
    assert decode(b"\xffa\xe2\x82", cut_after=True) == "\\xffa"
    assert decode(b"\x80" * 5, cut_before=True) == "\\x80" * 2


def test_both_ends_of_a_stream_have_whole_characters() -> None:
    """The marker stands between them."""
    tail = Tail(8)
    tail.add("a€€€€€".encode())
    assert tail.text() == "a€\n… [8 bytes cut] …\n€"


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
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/tmp/job/a.py, /tmp/job/b.py in /tmp/job", "a.py, b.py in ."),
        ("file:///tmp/job/a.js:1", "file://a.js:1"),
        ("-I/tmp/job/include", "-Iinclude"),
        ("/tmp/jobs/a.py", "/tmp/jobs/a.py"),
        ('File "/srv/problems/p/tests/run.py", line 3', 'File "tests/run.py", line 3'),
        ("/tmp/base/plan.json", "judge/plan.json"),
        (f"{Path.home()}/notes and {Path.home()}", "~/notes and ~"),
        (f"/srv{Path.home()}", f"/srv{Path.home()}"),
        (f"{sys.prefix}/lib/python3", "python/lib/python3"),
        (str(Path(subcli.judge.__file__)), "subcli/judge/__init__.py"),
    ],
)
def test_paths_of_the_server_are_not_shown(directory: str, text: str, shown: str) -> None:
    """What is the submission's or the problem's becomes relative; the rest is named."""
    assert ServerPaths(directory, ["/srv/problems/p"], ["/tmp/base"]).strip(text) == shown


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
