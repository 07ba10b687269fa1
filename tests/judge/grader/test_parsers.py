"""The parsers of a grader's results read what is well-formed, and refuse the rest in one sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subcli.judge.grader import gradescope, junit
from subcli.judge.grader.model import ReportError

JUNIT = b"""<?xml version="1.0"?><testsuites><testsuite name="s">
<testcase name="a" classname="C" time="0.25"/>
<testcase name="b"><failure message="1 != 2">at C.java:3</failure></testcase>
<testcase name="c"><error>boom
more</error></testcase>
<testcase name="d"><skipped message="later"/></testcase></testsuite></testsuites>"""


def test_junit_gives_outcome_message_and_time() -> None:
    """Each <testcase> is a test, whatever suite it is in."""
    a, b, c, d = junit.parse(JUNIT)
    assert (a.name, a.status, a.duration_ms, a.group) == ("a", "passed", 250, "C")
    assert (b.status, b.message, b.output) == ("failed", "1 != 2", "at C.java:3")
    assert (c.status, c.message) == ("failed", "boom")
    assert (d.status, d.message) == ("skipped", "later")


BOMB = b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><testsuite><testcase name="&z;"/></testsuite>'


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is not XML"),
        (b"<testsuite>", "is not XML"),
        (BOMB, "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>', "document type"),
        (b"<html/>", "begins with <html>"),
        (b"<testsuite>" * 40, "nested more than 32"),
        (b"<testsuite><testcase><testcase/></testcase></testsuite>", "inside another"),
        (b"<testsuite>" + b"<testcase/>" * 10_001 + b"</testsuite>", "more than 10,000"),
        (b'<?xml version="1.0" encoding="nonsense"?><testsuite/>', "encoding"),
        (b" " * (4 * 1024 * 1024 + 1), "more than 4096 KB"),
    ],
)
def test_hostile_xml_is_refused(data: bytes, complaint: str) -> None:
    """Entities, depth and size are bounded."""
    with pytest.raises(ReportError, match=complaint):
        junit.parse(data)


def test_gradescope_gives_points_and_visibility() -> None:
    """A test passes by its status, or with all of its points; hidden tests are not shown."""
    tests: list[dict[str, Any]] = [
        {"name": "a", "score": 2, "max_score": 2},
        {"number": "1.2", "score": 1, "max_score": 2, "output": "half\nof it", "visibility": "after_published"},
        {"name": "c", "status": "failed", "visibility": "hidden"},
    ]
    report = gradescope.parse(json.dumps({"score": 3.5, "tests": tests, "extra_data": {}}).encode())
    a, b, c = report.results
    assert report.score == 3.5
    assert (a.status, a.score, a.max_score, a.feedback) == ("passed", 2, 2, "full")
    assert (b.name, b.status, b.message, b.feedback) == ("Test 1.2", "failed", "half", "outcome")
    assert (c.status, c.feedback) == ("failed", "none")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is not JSON"),
        (b"\xff", "is not JSON|Gradescope"),
        (b"[]", "not in Gradescope's format"),
        (b"{}", "neither `score` nor `tests`"),
        (b'{"score": NaN}', "is not JSON"),
        (b'{"score": 1e999}', "."),
        (b'{"score": 1e300}', "not a number of points"),
        (b'{"score": "100"}', "score"),
        (b'{"score": true}', "score"),
        (b'{"tests": [{"score": -1e12}]}', "`score` of test 1"),
        (b'{"tests": [{"status": "great"}]}', "status"),
        (b'{"tests": ' + b"[" * 100_000, "."),
        (b'{"score": 1, "x": ' + b"[" * 100_000, "."),
        (b'{"tests": [' + b"{}," * 10_000 + b"{}]}", "more than 10,000"),
    ],
)
def test_hostile_json_is_refused(data: bytes, complaint: str) -> None:
    """Wrong types, numbers that are none, depth and size."""
    with pytest.raises(ReportError, match=complaint):
        gradescope.parse(data)


@given(st.binary(max_size=200) | st.text(alphabet='<>/="testcaseuifl &;!', max_size=80).map(str.encode))
def test_any_bytes_give_results_or_one_error(data: bytes) -> None:
    """Nothing but a ReportError leaves a parser."""
    for parse in (junit.parse, gradescope.parse):
        with suppress(ReportError):
            assert parse(data) is not None
