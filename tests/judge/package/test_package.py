"""What is read from a package, and what a package that cannot be used says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from subcli.judge.cases.model import Case, Comparison, Group
from subcli.judge.check import check_problem
from subcli.judge.package.package import id_of, slug_of
from subcli.judge.problem import Problem
from subcli.judge.problem_file import load_problem, load_valid_problems
from tests.judge.package.packages import CHECKER, MINIMAL, loaded, write

Files = Mapping[str, str | bytes | None]
SCORING = "type: scoring\nname: Minimal\n"
MODERN = "problem_format_version: 2025-09\nname: Minimal\nuuid: 1\n"


def only_case(problem: Problem) -> Case:
    assert problem.cases is not None
    (case,) = problem.cases.root.cases()
    return case


def group(problem: Problem, name: str) -> Group:
    assert problem.cases is not None
    waiting = [problem.cases.root]
    while waiting:
        here = waiting.pop()
        if here.name == name:
            return here
        waiting += [part for part in here.parts if isinstance(part, Group)]
    raise KeyError(name)


def test_a_minimal_package(tmp_path: Path) -> None:
    problem = loaded(tmp_path, {})
    assert (problem.slug, problem.title, problem.runner, problem.total_tests) == ("minimal", "Minimal", "cases", 1)
    assert problem.limits.test_seconds == 5.0
    assert problem.timing is not None
    assert not problem.timing.is_declared
    assert problem.id == id_of("minimal")
    case = only_case(problem)
    assert (case.name, case.feedback, case.points) == ("secret/1", "outcome", None)
    assert case.input.read_text() == "1\n"
    assert {"c", "cpp", "python", "java"} <= problem.languages.keys()


def test_all_of_it_survives_the_way_to_the_supervisor(tmp_path: Path) -> None:
    files = {
        "output_validators/check.py": CHECKER,
        "submissions/accepted/a.py": "print(1)\n",
        "include/python/b.py": "",
    }
    problem = loaded(
        tmp_path,
        {**files, "problem.yaml": "validation: custom\nname: x\n", "data/sample/1.in": "", "data/sample/1.ans": ""},
    )
    assert Problem.from_json(problem.as_json()) == problem


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("hello", "hello"),
        ("Hello World_2", "hello-world-2"),
        ("élan", "elan"),
        ("-", "package-"),
        ("задача", "package-"),
    ],
)
def test_the_slug_is_the_name_of_the_directory_made_valid(name: str, slug: str) -> None:
    assert slug_of(name).startswith(slug)
    assert slug_of(name) == slug or slug.endswith("-")


def test_names_in_other_scripts_get_slugs_of_their_own() -> None:
    assert slug_of("задача") != slug_of("пример")


@pytest.mark.parametrize(
    ("files", "seconds"),
    [
        ({"problem.yaml": "name: x\nlimits: {time_limit: 1.5}\n"}, 1.5),
        ({".timelimit": "3\n"}, 3.0),
        ({"domjudge-problem.ini": "timelimit='2'\nexternalid=x\n"}, 2.0),
        ({"domjudge-problem.ini": "color = red\ntimelimit = 0.5\n"}, 0.5),
        ({"domjudge-problem.ini": "timelimit=2\n", "problem.yaml": "limits: {time_limit: 4}\n"}, 4.0),
    ],
)
def test_the_time_limit(tmp_path: Path, files: Files, seconds: float) -> None:
    problem = loaded(tmp_path, files)
    assert problem.limits.test_seconds == seconds
    assert problem.timing is not None
    assert problem.timing.is_declared


def test_the_limits(tmp_path: Path) -> None:
    text = "limits: {memory: 512, output: 2, compilation_time: 7, compilation_memory: 64, time_multiplier: 3}\n"
    problem = loaded(tmp_path, {"problem.yaml": text})
    limits = problem.limits
    assert (limits.memory_mb, limits.output_kb, limits.build_seconds, limits.build_memory_mb) == (512, 2048, 7, 64)
    assert problem.timing is not None
    assert problem.timing.inferred(0.4) == 2.0
    assert problem.timing.inferred(0.0) == 1.0


def test_the_order_is_that_of_base_names(tmp_path: Path) -> None:
    names = ("data/secret/b/1", "data/secret/a", "data/secret/a-b", "data/secret/10", "data/sample/z")
    problem = loaded(tmp_path, {f"{name}.{ending}": "" for name in names for ending in ("in", "ans")})
    assert problem.cases is not None
    assert [case.name for case in problem.cases.root.cases()] == [
        "sample/z", "secret/1", "secret/10", "secret/a", "secret/a-b", "secret/b/1"
    ]  # fmt: skip


def test_cases_in_other_scripts_are_cases(tmp_path: Path) -> None:
    problem = loaded(tmp_path, {"data/secret/тест é 日本.in": "", "data/secret/тест é 日本.ans": ""})
    assert problem.cases is not None
    assert [case.name for case in problem.cases.root.cases()] == ["secret/1", "secret/тест é 日本"]


def test_what_begins_with_a_dot_or_a_dash_is_not_there(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"data/secret/.x.in": "", "data/secret/-y.ans": "", "data/.git/z.in": ""}).total_tests == 1


@pytest.mark.parametrize(
    ("flags", "comparison"),
    [
        ("case_sensitive space_change_sensitive", Comparison(case_sensitive=True, space_change_sensitive=True)),
        ("float_tolerance 1e-4", Comparison(absolute_tolerance=1e-4, relative_tolerance=1e-4)),
        ("float_absolute_tolerance 0.5", Comparison(absolute_tolerance=0.5)),
        ("float_relative_tolerance 1E-6", Comparison(relative_tolerance=1e-6)),
    ],
)
def test_flags_of_the_default_validator(tmp_path: Path, flags: str, comparison: Comparison) -> None:
    assert only_case(loaded(tmp_path / "a", {"problem.yaml": f"validator_flags: {flags}\n"})).comparison == comparison
    assert (
        only_case(loaded(tmp_path / "b", {"data/testdata.yaml": f"output_validator_flags: {flags}\n"})).comparison
        == comparison
    )
    args = str(flags.split()).replace("'", '"')
    files = {"problem.yaml": MODERN, "data/secret/test_group.yaml": f"output_validator_args: {args}\n"}
    assert only_case(loaded(tmp_path / "c", files)).comparison == comparison
    own = {"problem.yaml": MODERN, "data/secret/1.yaml": f"output_validator_args: {args}\n"}
    assert only_case(loaded(tmp_path / "d", own)).comparison == comparison


def test_flags_of_a_validator_of_the_authors(tmp_path: Path) -> None:
    files = {
        "problem.yaml": "validation: custom\nvalidator_flags: a b\n",
        "output_validators/check/check.py": CHECKER,
        "output_validators/check/data.txt": "",
        "data/secret/testdata.yaml": "output_validator_flags: c\n",
    }
    problem = loaded(tmp_path, files)
    assert only_case(problem).arguments == ("a", "b", "c")
    assert problem.cases is not None
    checker = problem.cases.checker
    assert checker is not None
    assert (checker.tool.files, checker.tool.entry, checker.tool.language.name) == (
        ("check.py", "data.txt"),
        "check.py",
        "python",
    )
    assert (checker.interactive, checker.max_passes, checker.scores) == (False, 1, False)


@pytest.mark.parametrize(
    ("text", "interactive", "passes"),
    [
        ("validation: custom interactive\n", True, 1),
        ("problem_format_version: 2023-07-draft\ntype: interactive\nname: x\n", True, 1),
        (MODERN + "type: [interactive, multi-pass]\nlimits: {validation_passes: 4}\n", True, 4),
        (MODERN + "type: multi-pass\n", False, 2),
    ],
)
def test_interaction_and_passes(tmp_path: Path, text: str, interactive: bool, passes: int) -> None:
    problem = loaded(
        tmp_path, {"problem.yaml": text, "output_validator/main.py": CHECKER, "output_validator/lib.py": ""}
    )
    assert problem.cases is not None
    checker = problem.cases.checker
    assert checker is not None
    assert (checker.interactive, checker.max_passes, checker.tool.entry) == (interactive, passes, "main.py")


def test_a_program_that_builds_itself(tmp_path: Path) -> None:
    files = {
        "problem.yaml": "validation: custom\n",
        "output_validators/v/build": "#!/bin/sh\n",
        "output_validators/v/x.ml": "",
    }
    problem = loaded(tmp_path, files)
    assert problem.cases is not None
    assert problem.cases.checker is not None
    assert problem.cases.checker.tool.language.run == ("./run",)


def test_legacy_groups(tmp_path: Path) -> None:
    files = {
        "problem.yaml": SCORING,
        "data/testdata.yaml": "on_reject: continue\nrange: 0 100\ngrader_flags: ignore_sample\n",
        "data/sample/1.in": "",
        "data/sample/1.ans": "",
        "data/secret/testdata.yaml": "grader_flags: first_error accept_if_any_accepted\n",
        "data/secret/a/testdata.yaml": "on_reject: break\naccept_score: 30\nreject_score: 1\n"
        "range: 0 30\ngrader_flags: min\n",
        "data/secret/a/1.in": "",
        "data/secret/a/1.ans": "",
    }
    problem = loaded(tmp_path, files)
    cases = problem.cases
    assert cases is not None
    assert (cases.is_scored, cases.zero_if_rejected, cases.pass_score) == (True, True, 100.0)
    root, secret, inner = cases.root, group(problem, "secret"), group(problem, "secret/a")
    assert (root.ignores_samples, root.stop_on_failure, root.aggregation, root.score_range) == (
        True,
        False,
        "sum",
        (0, 100),
    )
    assert (secret.verdicts, secret.accepts_any, secret.ignores_samples) == ("first_error", True, False)
    assert (inner.aggregation, inner.verdicts, inner.stop_on_failure) == ("min", "worst_error", True)
    (case,) = inner.cases()
    assert (case.points, case.rejected_points, case.checker_score) == (30.0, 1.0, "forbidden")
    # What a group does not say it inherits.
    assert not secret.stop_on_failure
    assert any("`ignore_sample` has no effect" in remark for remark in problem.remarks)


def test_keys_of_old_packages_override_groups(tmp_path: Path) -> None:
    files = {
        "problem.yaml": SCORING + "grading: {on_reject: grade, accept_score: 5, range: 0 5}\n",
        "data/testdata.yaml": "accept_score: 1\n",
    }
    problem = loaded(tmp_path, files)
    assert only_case(problem).points == 5.0
    assert not group(problem, "secret").stop_on_failure


def test_a_grader_of_the_authors(tmp_path: Path) -> None:
    files = {
        "problem.yaml": SCORING,
        "graders/grade.py": "",
        "data/secret/testdata.yaml": "grading: custom\ngrader_flags: a b\n",
    }
    secret = group(loaded(tmp_path, files), "secret")
    assert secret.grader is not None
    assert (secret.grader.entry, secret.grader_arguments) == ("grade.py", ("a", "b"))


def test_the_best_score_may_be_the_lowest(tmp_path: Path) -> None:
    files = {"problem.yaml": SCORING + "grading: {objective: min}\n", "data/testdata.yaml": "range: 0 100\n"}
    problem = loaded(tmp_path, {**files, "submissions/accepted/a.py": ""})
    assert problem.cases is not None
    assert problem.cases.pass_score is None
    (solution,) = problem.solutions
    assert solution.expected is not None
    assert solution.expected.best_score == 0.0


def test_modern_groups(tmp_path: Path) -> None:
    files = {
        "problem.yaml": MODERN + "type: scoring\n",
        "output_validator/check.py": CHECKER,
        "data/sample/1.in": "",
        "data/sample/1.ans": "",
        "data/secret/1.in": None,
        "data/secret/1.ans": None,
        "data/secret/a/test_group.yaml": "max_score: 40\nrequire_pass: sample\n",
        "data/secret/a/x/1.in": "",
        "data/secret/a/x/1.ans": "",
        "data/secret/b/test_group.yaml": "max_score: 60\nscore_aggregation: sum\n"
        "require_pass: [sample, secret/a]\nfull_feedback: true\nargs: [-v]\n",
        "data/secret/b/1.in": "",
        "data/secret/b/1.ans": "",
        "data/secret/b/2.in": "",
        "data/secret/b/2.ans": "",
        "data/secret/b/2.yaml": "args: []\nfull_feedback: no\nhint: think\n",
    }
    root = write(tmp_path / "minimal", {**MINIMAL, **files})
    problem = load_problem(root)
    cases = problem.cases
    assert cases is not None
    assert (cases.is_scored, cases.zero_if_rejected, cases.pass_score, cases.root.ignores_samples) == (
        True,
        False,
        100.0,
        True,
    )
    a, b = group(problem, "secret/a"), group(problem, "secret/b")
    assert (a.aggregation, a.max_score, a.requires, a.stop_on_failure) == ("pass-fail", 40.0, ("sample",), True)
    assert (b.aggregation, b.max_score, b.requires, b.stop_on_failure) == ("sum", 60.0, ("sample", "secret/a"), False)
    first, second = b.cases()
    assert (first.points, first.checker_score, first.program_arguments, first.feedback) == (
        30.0,
        "bounded",
        ("-v",),
        "full",
    )
    assert (second.program_arguments, second.feedback) == ((), "outcome")
    assert [case.name for case in a.cases()] == ["secret/a/x/1"]
    assert [case.checker_score for case in group(problem, "sample").cases()] == ["ignored"]


def test_a_modern_package_without_points_stops_at_the_first_failure(tmp_path: Path) -> None:
    problem = loaded(tmp_path, {"problem.yaml": MODERN})
    assert problem.cases is not None
    assert not problem.cases.is_scored
    assert group(problem, "secret").stop_on_failure


def test_languages_and_what_is_laid_beside_a_submission(tmp_path: Path) -> None:
    files = {
        "problem.yaml": MODERN + "languages: [python3, cpp, apl]\n",
        "include/default/data.txt": "d",
        "include/python3/main.py": "m",
        "include/java/Main.java": "j",
    }
    problem = loaded(tmp_path, files)
    assert set(problem.languages) - {"pypy"} == {"python", "cpp"}
    assert sorted(problem.included["python"]) == ["data.txt", "main.py"]
    assert sorted(problem.included["cpp"]) == ["data.txt"]


def test_unknown_keys_are_remarks(tmp_path: Path) -> None:
    problem = loaded(tmp_path, {"problem.yaml": "name: x\nverified: [a]\nlimits: {colour: red}\n"})
    assert problem.remarks == (
        "problem.yaml: `verified` is not a key of the format",
        "problem.yaml: `limits.colour` is not a key of the format",
    )


def test_what_others_overlook_is_a_remark_too(tmp_path: Path) -> None:
    """A key that is there twice, and one that a later version of the format has another meaning for."""
    problem = loaded(tmp_path, {"problem.yaml": "name: a\nname: b\nlimits:\n  time_multipliers: 1\n"})
    assert problem.title == "b"
    assert problem.remarks == ("problem.yaml:2: has the key `name` twice; the last one counts",)


def test_cases_that_are_not_run_are_remarks(tmp_path: Path) -> None:
    files = dict.fromkeys(("data/1.in", "data/1.ans", "data/more/1.in", "data/sample/1.in", "data/sample/1.ans"), "")
    none = {"data/secret/1.in": None, "data/secret/1.ans": None, "data/invalid_input/1.in": ""}
    assert loaded(tmp_path, {**files, **none}).remarks == (
        "data/secret: has no case; the samples alone decide",
        "data/1.in: is neither in sample nor in secret; the case is not run",
        "data/more: is neither sample nor secret; the cases in it are not run",
    )


def test_a_case_and_a_group_may_have_the_same_name(tmp_path: Path) -> None:
    problem = loaded(tmp_path, dict.fromkeys(("data/secret/1/2.in", "data/secret/1/2.ans"), ""))
    assert problem.cases is not None
    assert [case.name for case in problem.cases.root.cases()] == ["secret/1/2", "secret/1"]


def test_legacy_groups_without_cases_are_not_graded(tmp_path: Path) -> None:
    """A minimum, or one accepted part that is enough, would count them."""
    files = {
        "data/sample/note.md": "",
        "data/secret/a/b/note.md": "",
        "data/secret/c/2.in": "",
        "data/secret/c/2.ans": "",
    }
    problem = loaded(tmp_path, files)
    assert problem.cases is not None
    assert [group.name for group in problem.cases.root.groups()] == ["", "secret", "secret/c"]


def test_a_check_says_what_it_cannot_judge(tmp_path: Path) -> None:
    report = check_problem(write(tmp_path / "minimal", {**MINIMAL, "submissions/accepted/many/a.scala": ""}))
    assert [(check.what, check.ok, check.skipped) for check in report.checks] == [
        ("problem.yaml", True, False),
        ("accepted/many", True, True),
    ]


def test_a_directory_of_problems_has_packages_beside_others(tmp_path: Path) -> None:
    write(tmp_path / "good", MINIMAL)
    write(tmp_path / "bad", {**MINIMAL, "problem.yaml": "limits: 5\n"})
    write(tmp_path / "good_", MINIMAL)
    problems, broken = load_valid_problems(tmp_path)
    assert "good" in problems
    assert sorted(str(error.path) for error in broken) == [
        str(tmp_path / "bad/problem.yaml"),
        str(tmp_path / "good_/problem.yaml"),
    ]
    assert "has the id or the slug" in broken[1].complaint
