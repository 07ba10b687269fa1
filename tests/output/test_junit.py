"""``--junit-xml``: the content of the file, as its common readers see it, and how it is written."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subcli.core.errors import NetworkError, UsageError, WatchTimeoutError
from subcli.output.junit import JunitView, check_path, write
from tests.output import jenkins
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import Clock, Stage, ten

NOW = "2026-03-01T10:00:00Z"


def played(*scenes: str) -> tuple[JunitView, ElementTree.Element]:
    """Return the view after these scenes, and its document."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    for scene in scenes:
        SCENES[scene](stage)
    return view, checked(view)


def checked(view: JunitView) -> ElementTree.Element:
    """Return the document, after Jenkins' schema and junitparser have accepted it."""
    document = view.document()
    root = ElementTree.fromstring(document)
    jenkins.check(root)
    suites = junitparser.JUnitXml.fromstring(document)
    cases = [case for suite in suites for case in suite]
    assert suites.tests == len(cases) == len(root.findall(".//testcase"))
    results = [result for case in cases for result in case.result]
    assert suites.failures == sum(isinstance(result, junitparser.Failure) for result in results)
    assert suites.errors == sum(isinstance(result, junitparser.Error) for result in results)
    return root


@pytest.mark.parametrize("scene", ["points-end", "six-end", "build-failed-end", "lost-end"])
def test_approved_report(approved: Callable[[str, str], None], scene: str) -> None:
    """The whole file."""
    view, _ = played(scene)
    approved(f"junit-{scene}", view.document().decode())


def test_suite_per_submission_and_case_per_test() -> None:
    """Names, times, counts; a failure has message, expected, actual, and the analysis."""
    _, root = played("failed-end")
    (suite,) = root
    assert (suite.get("name"), suite.get("id"), suite.get("time")) == ("leader-election", "12", "25.249")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("10", "2", "0")
    first = suite.find("testcase")
    assert first is not None
    assert first.attrib == {"name": "Leader Election", "classname": "leader-election", "time": "1.250"}
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "two leaders in term 3: n1 and n4"
    for words in ("expected: one leader in term 3", "actual: two leaders", "node.py:48", "- Remember voted_for"):
        assert words in (failure.text or "")
    out = suite.find("testcase/system-out")
    assert out is not None
    assert "n4: leader of term 3" in (out.text or "")


def properties(element: ElementTree.Element) -> dict[str, str]:
    """The properties of a suite or a case."""
    return {item.attrib["name"]: item.attrib["value"] for item in element.findall("properties/property")}


def test_measured_tests_have_properties() -> None:
    """Outcome, processor time, memory, group and points of each case, the points of the suite, and the usual times."""
    _, root = played("points-end")
    (suite,) = root
    cases = suite.findall("testcase")
    assert properties(suite)["score"] == "40"
    assert properties(suite)["max_score"] == "100"
    assert properties(suite)["pass_score"] == "60"
    medium = {name: value for name, value in properties(suite).items() if name.endswith(":secret/medium")}
    assert list(medium.values()) == ["wrong_answer", "0", "20"]
    assert list(medium) == ["outcome:secret/medium", "score:secret/medium", "max_score:secret/medium"]
    assert properties(cases[0]) == {"outcome": "passed", "cpu_ms": "4", "memory_kb": "3400", "group": "sample"}
    large = {"outcome": "time_limit", "cpu_ms": "2003", "memory_kb": "131000", "group": "secret/large"}
    assert properties(cases[6]) == {**large, "score": "0", "max_score": "20"}
    assert cases[6].get("time") == "2.840"
    failure = cases[6].find("failure")
    assert failure is not None
    assert failure.get("type") == "time_limit"
    assert (failure.text or "").endswith("\n\n2.84 s, cpu 2.00 s, 128 MB, 0/20")


def test_outcome_says_why_where_nothing_else_does() -> None:
    """A problem may show no more than that; some readers show nothing but the text of a failure."""
    stage = Stage(view := JunitView(NOW), Clock())
    stage.begin()
    stage.connection("open")
    stage.send("test_result", test_name="secret/01", status="failed", outcome="time_limit")
    stage.complete("failed")
    failure = checked(view).find("testsuite/testcase/failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message"), failure.text) == ("time_limit", *["time limit"] * 2)


def test_wrong_answer() -> None:
    """A failure shows the first difference under a caret, the input and how to run the case again."""
    _, root = played("points-end")
    texts = [failure.text or "" for failure in root.findall(".//failure")]
    assert "- 8 17\n+ 8 18\n    ^^\n  21 4\n\ninput\n│ 2\n│ 3 5\nrun it again: subcli test --case " in texts[0]


def test_tests_without_measurements_have_no_properties() -> None:
    """Reports from servers that send none of it are as they were."""
    _, root = played("failed-end")
    assert root.findall("testsuite/testcase/properties") == []
    assert set(properties(root[0])) == {"submission_id", "language", "url", "final_status"}


def test_failed_build_becomes_a_case() -> None:
    """A failed build has no tests: a case of its own keeps readers from taking the file for a success."""
    _, root = played("build-failed-end")
    (case,) = root.findall("testsuite/testcase")
    assert case.get("name") == "build"
    assert "expected ';' before 'return'" in (case.findtext("failure") or "")
    _, six = played("six-end")
    assert len(six) == 6
    assert [suite.get("errors") for suite in six].count("1") == 1


@pytest.mark.parametrize(
    ("final_status", "tag"),
    [("failed", "failure"), ("cancelled", "failure"), ("deploy_failed", "failure"), ("error", "error")],
)
def test_verdict_without_a_failed_test_becomes_a_case(final_status: str, tag: str) -> None:
    """All tests passed and the verdict is not passed: a case says so, and the file is not green."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    stage.begin()
    stage.result("x", "passed")
    stage.result("y", "skipped")
    stage.complete(final_status)
    root = checked(view)
    assert (root.get("tests"), int(root.get("failures", "0")) + int(root.get("errors", "0"))) == ("3", 1)
    reason = root.find(f".//testcase[@name='verdict']/{tag}")
    assert reason is not None
    assert reason.get("message") == f"The verdict is {final_status}."


def test_failed_verdict_with_failed_tests_adds_nothing() -> None:
    """The failed tests explain the verdict."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    stage.begin()
    stage.result("x", "passed")
    stage.result("y", "error", 2000.0)
    stage.complete("failed", duration_ms=None)
    root = checked(view)
    assert [case.get("name") for case in root.iter("testcase")] == ["x", "y"]
    assert root[0].get("time") == "3.250"


def test_passed_with_failed_tests_adds_nothing() -> None:
    """The verdict alone decides the exit code; in the file, each test keeps its own status."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    stage.begin()
    ten(stage)
    stage.complete("passed", total_tests=10, passed=8, failed=2)
    root = checked(view)
    assert (root.get("tests"), root.get("failures")) == ("10", "2")


def test_last_result_of_a_test_counts() -> None:
    """A test that is judged again is one case; skipped tests and errors are marked as such."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    stage.begin()
    for status in ("failed", "passed"):
        stage.result("again", status, test_id=1)
    stage.result("left out", "skipped", None)
    stage.result("erred", "error", float("inf"), error_category="harness")
    stage.result("odd", "exploded", 1e300)
    stage.complete("failed")
    root = checked(view)
    tags = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert tags == {"again": [], "left out": ["skipped"], "erred": ["error"], "odd": ["failure"]}


def identities(root: ElementTree.Element) -> list[tuple[str | None, str | None]]:
    """What readers know the cases by."""
    return [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]


def test_three_tests_of_one_name_are_three_cases() -> None:
    """Their types are part of the class name; a reader would count one test otherwise, and none that failed."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    stage.begin()
    for kind, status in (("functional", "passed"), ("chaos", "failed"), ("performance", "passed")):
        stage.result("Basic", status, test_type=kind, seq=False)
    stage.complete("failed")
    root = checked(view)
    assert identities(root) == [(f"leader-election.{kind}", "Basic") for kind in ("functional", "chaos", "performance")]
    assert (root.get("tests"), root.get("failures")) == ("3", "1")


def test_names_are_unique_in_a_report() -> None:
    """Namesakes get their ids, or a number; so do a test named as our own case, and one without a name."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    stage.begin()
    for test_id in (7, "x"):
        stage.result("Basic", "passed", test_id=test_id, seq=False)
    stage.result("verdict", "passed")
    for name in (" ", "\u00a0", ""):
        stage.result(name, "passed")
    stage.complete("cancelled")
    problem = "leader-election"
    assert identities(checked(view)) == [
        (problem, "Basic #7"),
        (problem, "Basic #x"),
        (problem, "verdict"),
        (problem, "(no name)"),
        (problem, "(no name) (2)"),
        (problem, "(no name) (3)"),
        (problem, "verdict (2)"),
    ]


def test_two_submissions_to_one_problem_are_told_apart() -> None:
    """By their ids, which a report of a single submission does without: so its history goes on."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    for number in (12, 13):
        stage.begin(number)
        stage.result("Basic", "passed", id=number)
        stage.complete("passed", number)
    stage.begin(14, problem=" ")
    stage.result("Basic", "passed", id=14)
    stage.complete("passed", 14)
    root = checked(view)
    assert identities(root) == [
        ("leader-election #12", "Basic"),
        ("leader-election #13", "Basic"),
        ("submission 14", "Basic"),
    ]
    assert all(suite.get("time") and (suite.get("name") or "").strip() for suite in root)


def test_every_suite_and_case_has_a_time() -> None:
    """Also where the server sends none, and where there is no submission."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    stage.begin()
    stage.result("x", "failed", None)
    stage.complete("build_failed")
    view.fault(UsageError("no", hint="such thing"))
    root = checked(view)
    assert [suite.get("name") for suite in root] == ["leader-election", "subcli"]
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["3", "2", "1"]
    assert all(element.get("time") for tag in ("testsuite", "testcase") for element in root.iter(tag))


def test_no_verdict_is_an_error() -> None:
    """A timeout, a lost server, or an error before there was a submission becomes one error with its reason."""
    _, lost = played("lost-end")
    assert (lost.get("tests"), lost.get("errors")) == ("8", "1")
    view = JunitView(NOW)
    view.fault(WatchTimeoutError("No verdict within 3 s.", hint="`subcli list`"))
    (case,) = checked(view).findall("testsuite/testcase")
    error = case.find("error")
    assert error is not None
    assert (error.get("type"), error.get("message")) == ("timeout", "No verdict within 3 s.")
    assert "`subcli list`" in (error.text or "")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet=st.characters(), max_size=40), st.text(max_size=40))
def test_any_text_gives_a_document(name: str, text: str) -> None:
    """Whatever a server sends, lone surrogates and control characters included, the file can be parsed."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    stage.begin(problem=name, language=text)
    stage.result(name, "failed", 1, message=text, expected=text, actual=[text], output=text, error_category=text)
    stage.send("error_analysis", test_name=name, error=text, analysis=name, suggestions=[text], location={"file": text})
    stage.complete("failed")
    view.fault(NetworkError(text, hint=name))
    checked(view)


def test_control_characters_become_visible_escapes() -> None:
    """What XML cannot contain is escaped visibly, and markup stays text."""
    view = JunitView(NOW)
    stage = Stage(view, Clock())
    stage.begin()
    stage.result("a\x1b[31m\x00</testcase>", "failed", 1, message="x\x08\uffff\ud800]]>&amp;")
    stage.complete("failed")
    (case,) = checked(view).iter("testcase")
    assert case.get("name") == "a^[[31m^@</testcase>"
    assert case[0].text == "x^H\\uffff\\ud800]]>&amp;"


# -- the file ---------------------------------------------------------------------------------------


def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A reader sees the old file or the new one, never half of either; no temporary file is left."""
    path = tmp_path / "r.xml"
    write(path, b"<a>" + b"x" * 100_000 + b"</a>")
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for letter in b"ab" * 50:
        write(path, b"<a>" + bytes([letter]) * 100_000 + b"</a>")
    stop.set()
    reader.join()
    assert {len(content) for content in seen} == {100_007}
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.xml"]


def test_links_and_pipes_are_written_through(tmp_path: Path) -> None:
    """A link stays a link, and a pipe gets the document."""
    (tmp_path / "real.xml").write_text("old")
    (tmp_path / "link.xml").symlink_to("real.xml")
    write(tmp_path / "link.xml", b"new")
    assert (tmp_path / "link.xml").is_symlink()
    assert (tmp_path / "real.xml").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write(tmp_path / "pipe", b"piped")
    reader.join(10)
    assert got == [b"piped"]


@pytest.mark.parametrize("stops", [False, True], ids=["never comes", "stops reading"])
def test_reader_of_a_pipe_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    """The command ends, and says why there is no report."""
    monkeypatch.setattr("subcli.output.junit._READER_S", 0.1)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK) if stops else None
    with pytest.raises(OSError, match="stopped reading" if stops else "nobody reads it"):
        write(tmp_path / "pipe", b"x" * 1_000_000)
    if reader is not None:
        os.close(reader)


def test_unwritable_path_is_refused_early(tmp_path: Path) -> None:
    """A directory, or a file in place of a directory, is refused with the reason; missing directories are created."""
    (tmp_path / "file").write_text("")
    for path, reason, hint in (
        (tmp_path, "is a directory.", "Name a file: `--junit-xml results.xml`."),
        (tmp_path / "file" / "r.xml", "cannot be written: File exists.", "Name another file."),
        (tmp_path / ("n" * 300) / "r.xml", "cannot be written: File name too long.", "Name another file."),
        (tmp_path / "nul\0" / "r.xml", "is not a valid file name.", "Name another file."),
    ):
        with pytest.raises(UsageError) as caught:
            check_path(path)
        assert caught.value.message.endswith(reason)
        assert caught.value.hint == hint
    check_path(tmp_path / "new" / "below" / "r.xml")
    check_path(tmp_path / "new" / "below" / "r.xml")
    assert (tmp_path / "new" / "below").is_dir()
