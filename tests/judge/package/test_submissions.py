"""What a package expects of its submissions, and whether it came true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from subcli.judge.cases.expected import Ended, Expected, Rule, disagreement, is_within, matches, remark
from subcli.judge.cases.grading import Grade
from subcli.judge.outcome import Outcome
from subcli.judge.problem import Solution
from tests.judge.package.packages import loaded

MODERN = "problem_format_version: 2025-09\nname: Minimal\n"


def solutions(tmp_path: Path, files: Mapping[str, str]) -> dict[str, Solution]:
    found = loaded(tmp_path, files).solutions
    return {f"{each.file.parent.name}/{each.file.name}": each for each in found}


def expected(tmp_path: Path, name: str, text: str = "", files: Mapping[str, str] | None = None) -> Expected:
    wanted = solutions(tmp_path, {f"submissions/{name}": text, **(files or {})})[name].expected
    assert wanted is not None
    return wanted


@pytest.mark.parametrize(
    ("directory", "verdicts"),
    [
        ("accepted", ("AC",)),
        ("partially_accepted", ("AC",)),
        ("wrong_answer", ("WA",)),
        ("time_limit_exceeded", ("TLE",)),
        ("run_time_error", ("RTE",)),
        ("rejected", ("WA", "TLE", "RTE")),
        ("slow_accepted", ("AC", "TLE")),
        ("mixed", ()),
    ],
)
def test_what_a_directory_of_a_legacy_package_expects(
    tmp_path: Path, directory: str, verdicts: tuple[str, ...]
) -> None:
    found = expected(tmp_path, f"{directory}/a.py")
    assert found.verdicts == verdicts
    assert found.bounds_time == (directory == "accepted")


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("# @EXPECTED_RESULTS@: TIMELIMIT,RUN-ERROR\n", {"TLE", "RTE"}),
        ("# @EXPECTED_RESULTS@: CHECK-MANUALLY\n", set()),
        ("print(1)\n", set()),
    ],
)
def test_a_tag_says_what_the_directory_does_not(tmp_path: Path, text: str, verdicts: set[str]) -> None:
    assert set(expected(tmp_path, "mixed/a.py", text).verdicts) == verdicts


def test_submissions_are_files_and_directories_in_any_language(tmp_path: Path) -> None:
    found = solutions(
        tmp_path,
        {
            "submissions/accepted/a.cc": "int main() {}",
            "submissions/accepted/b/main.c": "int main() {}",
            "submissions/accepted/b/lib.c": "",
            "submissions/accepted/c.scala": "",
            "submissions/accepted/old.py": "#!/usr/bin/env python2\n",
            "submissions/accepted/README.md": "",
            "submissions/compile_error/d.py": "",
        },
    )
    assert {name: (each.language, each.expect) for name, each in found.items()} == {
        "accepted/a.cc": ("cpp", ""),
        "accepted/b": ("c", ""),
        "accepted/c.scala": ("", ""),
        "accepted/old.py": ("Python 2", ""),
        "compile_error/d.py": ("python", "build_failed"),
    }


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("accepted/a.py", (Rule(permitted=("AC",)),)),
        ("time_limit_exceeded/a.py", (Rule(permitted=("AC", "TLE"), required=("TLE",)),)),
        ("mixed/a.py", (Rule(permitted=("WA",)),)),
        ("wrong_answer/a.py", (Rule(permitted=("AC", "WA", "TLE"), required=("WA",)),)),
        (
            "wrong_answer/b.py",
            (
                Rule(permitted=("AC", "WA", "TLE"), required=("WA",)),
                Rule(score=(5.0, 7.0), message="b"),
                Rule("secret/*", required=("TLE",)),
            ),
        ),
    ],
)  # fmt: skip
def test_rules_of_a_modern_package(tmp_path: Path, name: str, rules: tuple[Rule, ...]) -> None:
    text = (
        "mixed: {permitted: [WA]}\n"
        "wrong_answer: {permitted: [AC, WA, TLE]}\n"
        "'*/b.{py,cc}': {score: [5, 7], message: b, secret/*: {required: [TLE]}}\n"
    )
    files = {"problem.yaml": MODERN, "submissions/submissions.yaml": text}
    assert tuple(rule for rule in expected(tmp_path, name, files=files).rules if rule != Rule()) == rules


def test_what_bounds_the_time_limit_of_a_modern_package(tmp_path: Path) -> None:
    files = {"problem.yaml": MODERN, "submissions/submissions.yaml": "accepted/slow.py: {use_for_time_limit: false}\n"}
    assert expected(tmp_path / "a", "accepted/a.py", files=files).bounds_time
    assert not expected(tmp_path / "b", "accepted/slow.py", files=files).bounds_time
    assert expected(tmp_path / "c", "wrong_answer/a.py", files=files).bounds_time
    assert not expected(tmp_path / "d", "time_limit_exceeded/a.py", files=files).bounds_time


@pytest.mark.parametrize(
    ("pattern", "name", "does"),
    [
        ("accepted", "accepted/a.py", True),
        ("accepted/*", "accepted/a.py", True),
        ("*", "accepted/a.py", True),
        ("a.py", "accepted/a.py", False),
        ("*/a.{py,cc}", "accepted/a.cc", True),
        ("secret/*{1,3}", "secret/13", True),
        ("secret/*{1,3}", "secret/2", False),
        ("secret/*{ 4 }{2 , 3}", "secret/42", True),
        ("secret/{a,{b,c}}x", "secret/cx", True),
        ("secret/[ab]", "secret/a", False),
        ("secret/.", "secret/a", False),
    ],
)
def test_patterns(pattern: str, name: str, does: bool) -> None:
    assert is_within(pattern, name) == does


def test_a_star_stays_within_a_part_of_a_name() -> None:
    assert not matches("*", "a/b")
    assert matches("{" * 40 + "}" * 40, "x") is False


CASES = (Ended("sample/1", "passed"), Ended("secret/1", "time_limit", "too slow"), Ended("secret/2", "skipped"))


@pytest.mark.parametrize(
    ("wanted", "whole", "says"),
    [
        (Expected(), Grade("wrong_answer"), ""),
        (Expected(), Grade("judge_error"), "could not judge"),
        (Expected(("TLE",)), Grade("time_limit"), ""),
        (Expected(("RTE",)), Grade("memory_limit"), ""),
        (Expected(("AC",)), Grade("time_limit"), "TLE in secret/1 instead of AC"),
        (Expected(rules=(Rule(permitted=("AC", "TLE"), required=("TLE",)),)), Grade("time_limit"), ""),
        (Expected(rules=(Rule(permitted=("AC",)),)), Grade("time_limit"), "TLE in secret/1, where only AC"),
        (Expected(rules=(Rule(required=("WA",)),)), Grade("time_limit"), "no case ended in WA"),
        (Expected(rules=(Rule("sample", permitted=("AC",)),)), Grade("time_limit"), ""),
        (Expected(rules=(Rule("sample", required=("TLE",)),)), Grade("time_limit"), "no case in sample ended in TLE"),
        (Expected(rules=(Rule(message="slow"),)), Grade("time_limit"), ""),
        (Expected(rules=(Rule(message="fast"),)), Grade("time_limit"), "no message"),
        (Expected(rules=(Rule(score=(3.0, 5.0)),)), Grade("time_limit", 4.0), ""),
        (Expected(rules=(Rule(score=(3.0, 5.0)),)), Grade("time_limit", 6.0), "the score is 6 instead of 3 to 5"),
        (Expected(rules=(Rule("secret", score=(2.0, 2.0)),)), Grade("time_limit", 6.0), "the score in secret is 1"),
    ],
)  # fmt: skip
def test_what_is_not_as_expected(wanted: Expected, whole: Grade, says: str) -> None:
    outcome: Outcome = whole.outcome
    found = disagreement(wanted, CASES, whole, {"secret": Grade(outcome, 1.0)})
    assert bool(found) == bool(says)
    assert says in found


@pytest.mark.parametrize(
    ("is_best", "whole", "says"),
    [
        (True, Grade("passed", 10.0), ""),
        (True, Grade("passed", 9.0), "less than the best score, 10"),
        (False, Grade("passed", 9.0), ""),
        (False, Grade("passed", 10.0), "the best score there is"),
        (False, Grade("wrong_answer", 0.0), ""),
        (None, Grade("passed", 9.0), ""),
    ],
)
def test_what_is_worth_a_remark(is_best: bool | None, whole: Grade, says: str) -> None:
    """verifyproblem warns of it, and takes it for no error."""
    assert remark(Expected(("AC",), is_best=is_best, best_score=10.0), whole) == says
