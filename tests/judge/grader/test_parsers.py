"""The parsers of a grader's results read what is well-formed, and refuse the rest in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subcli.judge.grader import go, gradescope, jest, junit
from subcli.judge.grader.model import Report, ReportError
from subcli.judge.grader.printed import parse_rust, parse_unity

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
        (b'{"score": 1e300}', "not a valid score"),
        (b'{"score": "all"}', "score"),
        (b'{"score": "nan"}', "not a valid score"),
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


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200) | st.text(alphabet='<>/="testcaseuifl &;!', max_size=80).map(str.encode))
def test_any_bytes_give_results_or_one_error(data: bytes) -> None:
    """Nothing but a ReportError leaves a parser."""
    for parse in (junit.parse, gradescope.parse, jest.parse):
        with suppress(ReportError):
            assert parse(data) is not None
    for parse_text in (go.parse, parse_rust, parse_unity):
        with suppress(ReportError):
            assert parse_text(data.decode("utf-8", "backslashreplace")) is not None


GO = """
{"Action":"run","Package":"p","Test":"TestSum"}
{"Action":"output","Package":"p","Test":"TestSum","Output":"=== RUN   TestSum\\n"}
{"Action":"run","Package":"p","Test":"TestSum/small"}
{"Action":"output","Package":"p","Test":"TestSum/small","Output":"    sum_test.go:9: Sum(1)\\n"}
{"Action":"output","Package":"p","Test":"TestSum/small","Output":"         got: 2\\n"}
{"Action":"output","Package":"p","Test":"TestSum/small","Output":"        want: 3\\n"}
{"Action":"output","Package":"p","Test":"TestSum/small","Output":"    --- FAIL: TestSum/small (0.25s)\\n"}
{"Action":"fail","Package":"p","Test":"TestSum/small","Elapsed":0.25}
{"Action":"pass","Package":"p","Test":"TestSum/large","Elapsed":0}
{"Action":"fail","Package":"p","Test":"TestSum","Elapsed":0.25}
{"Action":"skip","Package":"p","Test":"TestLater","Elapsed":0}
{"Action":"run","Package":"p","Test":"TestEndless"}
{"Action":"fail","Package":"p","Elapsed":0.3}
"""
RUST = """
running 3 tests
test ok ... ok
test wrong ... FAILED
test later ... ignored, not yet

failures:

---- wrong stdout ----
thread 'wrong' panicked at tests/sum.rs:4:5:
assertion `left == right` failed
  left: 2
 right: 3

failures:
    wrong

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
"""
UNITY = (
    "hello\n./t.c:5:test_one:\x1b[42mPASS\x1b[00m\n./t.c:9:test_two:FAIL: Expected 3 Was 2\n"
    "t.c:12:test_three:IGNORE: later\n"
    "\n-----------------------\n3 Tests 1 Failures 1 Ignored \nFAIL\n"
)
JEST = {
    "numTotalTests": 3,
    "testResults": [
        {
            "name": "/work/sum.spec.js",
            "status": "failed",
            "assertionResults": [
                {"title": "one", "ancestorTitles": ["Sum"], "status": "passed", "duration": 3},
                {
                    "title": "two",
                    "ancestorTitles": ["Sum"],
                    "status": "failed",
                    "failureMessages": [
                        "Error: \x1b[2mexpect(\x1b[22mreceived)\n\nExpected: 3\nReceived: 2\n    at f (a.js:1)"
                    ],
                },
                {"title": "three", "status": "pending", "failureMessages": None},
            ],
        },
        {"name": "/work/broken.spec.js", "status": "failed", "message": "SyntaxError: x", "assertionResults": []},
    ],
}


def outcomes(report: Report) -> list[tuple[str, str, str, str, str]]:
    """What a learner reads of each test."""
    return [(each.name, each.status, each.message, each.expected, each.actual) for each in report.results]


def test_go_gives_the_subtests_and_what_they_wanted() -> None:
    """The test around subtests does not count again; one that did not end has failed."""
    report = go.parse(GO)
    assert outcomes(report) == [
        ("TestSum/small", "failed", "sum_test.go:9: Sum(1)", "3", "2"),
        ("TestSum/large", "passed", "", "", ""),
        ("TestLater", "skipped", "", "", ""),
        ("TestEndless", "failed", "it did not end", "", ""),
    ]
    assert report.results[0].duration_ms == 250


def test_go_counts_a_test_that_fails_beside_its_subtests() -> None:
    """Its subtests have passed, and it has not."""
    said = '{"Action":"pass","Package":"p","Test":"T/a"}\n{"Action":"fail","Package":"p","Test":"T"}'
    assert [(each.name, each.status) for each in go.parse(said).results] == [("T/a", "passed"), ("T", "failed")]


def test_go_counts_a_test_where_what_failed_is_not_below_it() -> None:
    """A name that begins alike is another test; a failure anywhere below explains one."""
    tests = {"p": ("T", "T/a", "T/a/b", "Ta", "T b", "U", "U/a/b/c", "U/a"), "q": ("T/c",)}
    said = "\n".join(
        json.dumps({"Action": "pass" if name in ("T", "T/a/b", "U/a") else "fail", "Package": package, "Test": name})
        for package, names in tests.items()
        for name in names
    )
    assert [(each.group, each.name) for each in go.parse(said).results] == [
        *(("p", name) for name in ("T/a", "T/a/b", "Ta", "T b", "U/a/b/c")),
        ("q", "T/c"),
    ]


def _go(*outputs: str, name: str = "T") -> str:
    events: list[dict[str, str]] = [{"Action": "output", "Output": output} for output in outputs]
    return "\n".join(json.dumps({"Package": "p", "Test": name, **event}) for event in [*events, {"Action": "fail"}])


_LONG = 2_000_000


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("parse", "text"),
    [
        pytest.param(go.parse, _go(" " * _LONG), id="go: spaces"),
        pytest.param(go.parse, _go("\n" * _LONG + "x"), id="go: lines"),
        pytest.param(go.parse, _go("x\n" + " \n" * (_LONG // 2) + "x"), id="go: lines of spaces"),
        pytest.param(go.parse, _go(name="/" * _LONG), id="go: one deep name"),
        pytest.param(
            go.parse, "\n".join(_go(name=f"T{n}") + "\n" + _go(name=f"T{n}/a") for n in range(4_000)), id="go: parents"
        ),
        pytest.param(go.parse, "\n".join(_go(name="T/" * depth + "T") for depth in range(1_400)), id="go: depths"),
        pytest.param(parse_rust, RUST.replace("left: 2", "\n" * _LONG + "left: 2"), id="rust: lines"),
        pytest.param(parse_rust, RUST.replace("left: 2", "- " * _LONG + "\nleft: 2"), id="rust: dashes"),
        pytest.param(parse_rust, RUST + "test " + " - should panic ..." * (_LONG // 18), id="rust: an endless name"),
        pytest.param(parse_unity, UNITY.replace("Was 2", "Expected " * (_LONG // 9)), id="unity: expected"),
        pytest.param(parse_unity, UNITY.replace("Was 2", "Was" + " Was" * (_LONG // 4)), id="unity: was"),
        pytest.param(parse_unity, ":1" * (_LONG // 2) + "\n" + UNITY, id="unity: places"),
        pytest.param(parse_unity, "a:1:b:PASS: " + " " * _LONG + "\n" + UNITY.replace("3 T", "4 T"), id="unity: why"),
        pytest.param(parse_unity, "\x1b[" * (_LONG // 2) + "\n" + UNITY, id="unity: escapes"),
        pytest.param(parse_unity, "\x1b[" + "1;" * (_LONG // 2) + "\n" + UNITY, id="unity: one escape"),
    ],
)
def test_hostile_text_takes_linear_time(parse: Callable[[str], Report], text: str) -> None:
    """What takes time square in two million characters does not end."""
    assert parse(text).results


@pytest.mark.thorough
def test_hostile_jest_takes_linear_time() -> None:
    """Its texts are of the solution's making, too."""
    for text in (" " * _LONG, "\n" * _LONG, "\x1b[" * (_LONG // 8), "Expected:" * (_LONG // 9), "at \n" * (_LONG // 4)):
        test = {"title": "T", "status": "failed", "failureMessages": [text]}
        assert jest.parse(json.dumps({"testResults": [{"assertionResults": [test]}]}).encode()).results


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_rust, f"running {'9' * 5000} tests\n{RUST}"),
        (parse_unity, f"{UNITY}\n{'9' * 5000} Tests 0 Failures 0 Ignored"),
    ],
)
def test_count_of_absurd_length_is_none(parse: Callable[[str], Report], text: str) -> None:
    """Python converts no such number."""
    assert len(parse(text).results) == 3


def test_unity_words_are_told_apart() -> None:
    """The first `Expected` and the first `Was` behind it; without both, there are no sides."""
    sides = {
        "Expected 1 Was 2": ("1", "2"),
        "Values Not Equal. expected: 'a' was: 'b'": ("'a'", "'b'"),
        "Was 1 Expected  Was 2 Was 3": (" Was 2", "3"),
        "Expected 1 Expected 2 Was 3": ("1 Expected 2", "3"),
        "Unexpected 1 Was 2": ("", ""),
        "Expected 1": ("", ""),
        "Expected 1 Was ": ("", ""),
    }
    for why, expected in sides.items():
        report = parse_unity(f"a.c:1:t:FAIL: {why}\n1 Tests 1 Failures 0 Ignored")
        assert [(each.expected, each.actual) for each in report.results] == [expected], why


def test_rust_gives_names_panics_and_both_sides() -> None:
    """Of what `cargo test` prints."""
    assert outcomes(parse_rust(RUST)) == [
        ("ok", "passed", "", "", ""),
        ("wrong", "failed", "assertion `left == right` failed", "3", "2"),
        ("later", "skipped", "not yet", "", ""),
    ]


def test_unity_gives_names_and_both_sides() -> None:
    """Colours are taken away."""
    assert outcomes(parse_unity(UNITY)) == [
        ("test_one", "passed", "", "", ""),
        ("test_two", "failed", "Expected 3 Was 2", "3", "2"),
        ("test_three", "skipped", "later", "", ""),
    ]


def test_jest_gives_names_and_both_sides() -> None:
    """A file that cannot be loaded is a failed test."""
    data = json.dumps(JEST).encode()
    assert jest.is_jest(data)
    assert not jest.is_jest(b'{"tests": []}')
    assert outcomes(jest.parse(data)) == [
        ("Sum › one", "passed", "", "", ""),
        ("Sum › two", "failed", "Error: expect(received)", "3", "2"),
        ("three", "skipped", "", "", ""),
        ("broken.spec.js", "failed", "SyntaxError: x", "", ""),
    ]


@pytest.mark.parametrize(
    ("parse", "text", "complaint"),
    [
        (go.parse, "", "ran no test"),
        (go.parse, "# p\n./a.go:3:9: undefined: x\n", "undefined: x"),
        (parse_rust, "", "no results"),
        (parse_rust, RUST.replace("running 3", "running 4"), "3 of 4"),
        (parse_unity, "", "no results"),
        (parse_unity, UNITY.replace("3 Tests", "4 Tests"), "there are 4"),
        (parse_unity, UNITY.partition("---")[0], "there are 0"),
    ],
)
def test_what_is_not_complete_is_refused(parse: Callable[[str], Report], text: str, complaint: str) -> None:
    """A program that ends early has no results."""
    with pytest.raises(ReportError, match=complaint):
        parse(text)


def test_gradescope_is_read_as_people_write_it() -> None:
    """Numbers as texts, nulls, numbers as names, and keys that mean nothing here."""
    test = {"name": 7, "number": None, "score": "0.5", "max_score": "1.50", "output": None, "visibility": None}
    more = {"tags": ["x"], "extra_data": {"a": [1]}, "output_format": "html", "name_format": "text"}
    whole = {
        "output": "Well \x1b[1mdone\x1b[0m",
        "visibility": None,
        "execution_time": "1.5",
        "leaderboard": [{"x": 1}],
    }
    report = gradescope.parse(json.dumps({"score": None, "tests": [test | more, {}], **whole}).encode())
    first, second = report.results
    assert (first.name, first.status, first.score, first.max_score, first.output) == ("7", "failed", 0.5, 1.5, "")
    assert (second.name, second.status) == ("Test 2", "passed")
    assert (report.score, report.remark) == (None, "Well done")
    assert gradescope.parse(b'{"score": "3", "tests": null}').score == 3


def test_junit_says_why_pytest_could_not_load_a_file() -> None:
    """pytest's own message is "collection failure"."""
    said = "a.py:1: in f\nE   x\nE   SyntaxError: invalid syntax"
    data = f'<testsuite><testcase name="t"><error message="collection failure">{said}</error></testcase></testsuite>'
    assert junit.parse(data.encode())[0].message == "SyntaxError: invalid syntax"
