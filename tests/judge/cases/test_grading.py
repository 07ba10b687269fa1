"""What groups and the whole are worth, and which case runs next."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from subcli.judge.cases.grading import Grade, GraderError, Grading, RunGrader
from subcli.judge.cases.model import Case, CaseSet, Group, Tool
from subcli.judge.languages.language import Language
from subcli.judge.outcome import Outcome

GRADER = Tool(Path("/graders"), ("grade.py",), Language("python", "grade.py", ("python3", "grade.py")), "grade.py")
Given = Outcome | tuple[Outcome, float] | tuple[Outcome, None, float]


def case(name: str, **more: Any) -> Case:
    return Case(name=name, input=Path(f"{name}.in"), answer=Path(f"{name}.ans"), **more)


def group(name: str, *parts: Case | Group, **more: Any) -> Group:
    return Group(name=name, parts=parts, **more)


def play(
    root: Group,
    outcomes: Mapping[str, Given] | None = None,
    *,
    scored: bool = True,
    run_grader: RunGrader | None = None,
    **more: Any,
) -> tuple[Grade, list[str], dict[str, Grade]]:
    """The grade of the whole, the names of the cases that ran, and the grades of cases and groups."""

    async def main() -> tuple[Grade, list[str], dict[str, Grade]]:
        grading = Grading(CaseSet(root, is_scored=scored, **more), run_grader)
        grades: dict[str, Grade] = {}
        while (here := await grading.next_case()) is not None:
            given = (outcomes or {}).get(here.name, "passed")
            outcome, *scores = given if isinstance(given, tuple) else (given,)
            grades[here.name] = grading.record(here, outcome, *scores)
        whole = await grading.result()
        return whole, list(grades), {**grades, **grading.groups}

    return asyncio.run(main())


def test_runs_everything_in_order_and_passes() -> None:
    root = group("", group("sample", case("sample/1")), group("secret", case("secret/1"), case("secret/2")))
    whole, ran, _ = play(root, scored=False)
    assert whole == Grade("passed")
    assert ran == ["sample/1", "secret/1", "secret/2"]


def test_the_first_failure_ends_every_group_that_stops() -> None:
    root = group("", group("a", case("a/1"), case("a/2")), group("b", case("b/1")))
    whole, ran, grades = play(root, {"a/1": "time_limit"}, scored=False)
    assert whole == Grade("time_limit")
    assert ran == ["a/1"]
    assert grades["a"] == Grade("time_limit")


def test_a_group_that_goes_on_runs_the_rest() -> None:
    root = group("", group("a", case("a/1"), case("a/2")), group("b", case("b/1")), stop_on_failure=False)
    _, ran, _ = play(root, {"a/1": "wrong_answer"}, scored=False)
    assert ran == ["a/1", "b/1"]


@pytest.mark.parametrize(
    ("verdicts", "outcome"),
    [("first_error", "wrong_answer"), ("worst_error", "runtime_error"), ("always_accept", "passed")],
)
def test_the_outcome_of_a_group(verdicts: str, outcome: Outcome) -> None:
    root = group("", *map(case, "abcd"), verdicts=verdicts, stop_on_failure=False)
    whole, _, _ = play(root, {"b": "wrong_answer", "c": "runtime_error", "d": "time_limit"}, scored=False)
    assert whole.outcome == outcome


def test_the_worst_error_is_the_first_in_the_order_of_the_format() -> None:
    worst: list[Outcome] = ["wrong_answer", "output_limit", "time_limit", "memory_limit", "runtime_error"]
    for better, worse in itertools.pairwise(worst):
        root = group("", case("a"), case("b"), verdicts="worst_error", stop_on_failure=False)
        assert play(root, {"a": better, "b": worse}, scored=False)[0].outcome == worse


@pytest.mark.parametrize(
    ("outcomes", "outcome"),
    [({"a": "wrong_answer"}, "passed"), ({"a": "time_limit", "b": "wrong_answer"}, "time_limit")],
)
def test_one_accepted_part_may_be_enough(outcomes: Mapping[str, Given], outcome: Outcome) -> None:
    root = group("", case("a"), case("b"), accepts_any=True, stop_on_failure=False)
    assert play(root, outcomes, scored=False)[0].outcome == outcome


@pytest.mark.parametrize(("aggregation", "score"), [("sum", 6.0), ("min", 0.5), ("max", 4.0), ("avg", 2.0)])
def test_the_score_of_a_group(aggregation: str, score: float) -> None:
    cases = (case("a", points=1.5), case("b", points=4.0), case("c", points=2.0, rejected_points=0.5))
    root = group("", *cases, aggregation=aggregation, stop_on_failure=False)
    whole, _, _ = play(root, {"c": "wrong_answer"})
    assert whole == Grade("wrong_answer", score)


def test_sums_of_tenths_are_exact() -> None:
    root = group("", *(case(str(number), points=0.1) for number in range(10)), aggregation="sum")
    assert play(root)[0].score == 1.0


def test_a_group_of_the_kind_pass_fail_gives_all_of_its_points_or_none() -> None:
    root = group(
        "",
        group("a", case("a/1"), case("a/2"), max_score=30.0),
        group("b", case("b/1"), max_score=70.0),
        aggregation="sum",
        stop_on_failure=False,
    )
    assert play(root, {"a/2": "wrong_answer"})[0] == Grade("wrong_answer", 70.0)
    assert play(root)[0] == Grade("passed", 100.0)


def test_samples_can_be_left_out_of_the_grade() -> None:
    root = group(
        "",
        group("sample", case("s", points=5.0)),
        group("secret", case("t", points=7.0), aggregation="sum"),
        aggregation="sum",
        ignores_samples=True,
        stop_on_failure=False,
    )
    assert play(root, {"s": "wrong_answer"})[0] == Grade("passed", 7.0)
    assert play(root, {"t": "wrong_answer"})[0] == Grade("wrong_answer", 0.0)


def test_where_samples_are_left_out_and_stop_the_rest_they_decide() -> None:
    root = group("", group("sample", case("s")), group("secret", case("t")), ignores_samples=True)
    assert play(root, {"s": "time_limit"}, scored=False)[0] == Grade("time_limit")


def test_a_group_whose_requirements_failed_does_not_run() -> None:
    root = group(
        "",
        group("g/1", case("g/1/a"), max_score=10.0),
        group("g/2", case("g/2/a"), max_score=20.0, requires=("g/1",)),
        group("g/3", case("g/3/a"), max_score=40.0, requires=("g/2",)),
        aggregation="sum",
        stop_on_failure=False,
    )
    whole, ran, grades = play(root, {"g/1/a": "wrong_answer"})
    assert ran == ["g/1/a"]
    assert whole == Grade("wrong_answer", 0.0)
    assert grades["g/3"] == Grade("skipped", 0.0)
    assert play(root)[0] == Grade("passed", 70.0)


def test_a_group_that_requires_what_never_ran_is_not_accepted() -> None:
    root = group("", group("g", case("a"), requires=("nothing",)))
    assert play(root, scored=False)[0] == Grade("wrong_answer")


def test_a_judge_error_spoils_every_group_around_it() -> None:
    root = group(
        "",
        group("a", case("a/1"), case("a/2"), accepts_any=True, stop_on_failure=False),
        verdicts="always_accept",
        stop_on_failure=False,
    )
    whole, ran, grades = play(root, {"a/1": "judge_error"})
    assert ran == ["a/1", "a/2"]
    assert grades["a"].outcome == whole.outcome == "judge_error"


def test_an_empty_group_is_accepted_with_nothing() -> None:
    assert play(group("", group("a"), aggregation="sum"))[0] == Grade("passed", 0.0)


def test_who_stops_early_gets_a_result_of_what_ran() -> None:
    async def main() -> Grade:
        grading = Grading(
            CaseSet(
                group(
                    "",
                    group("a", case("a/1", points=1.0), case("a/2", points=1.0), aggregation="sum"),
                    aggregation="sum",
                ),
                is_scored=True,
            )
        )
        first = await grading.next_case()
        assert first is not None
        grading.record(first, "passed")
        return await grading.result()

    assert asyncio.run(main()) == Grade("passed", 1.0)


def test_who_is_not_accepted_has_no_points_where_the_format_says_so() -> None:
    root = group("", case("a", points=1.0), case("b", points=1.0), aggregation="sum", stop_on_failure=False)
    assert play(root, {"a": "wrong_answer"}, zero_if_rejected=True)[0] == Grade("wrong_answer", 0.0)
    assert play(root, zero_if_rejected=True)[0] == Grade("passed", 2.0)


@pytest.mark.parametrize(
    ("rule", "given", "score"),
    [
        ("optional", "passed", 8.0),
        ("optional", ("passed", -3.5), -3.5),
        ("required", ("passed", 12.0), 12.0),
        ("bounded", "passed", 8.0),
        ("bounded", ("passed", 8.0), 8.0),
        ("bounded", ("passed", None, 0.25), 2.0),
        ("unbounded", ("passed", 1000.0), 1000.0),
        ("forbidden", "passed", 8.0),
        ("ignored", ("passed", 3.0), 8.0),
    ],
)
def test_what_a_checker_may_give(rule: str, given: Given, score: float) -> None:
    root = group("", case("a", points=8.0, checker_score=rule), aggregation="sum")
    assert play(root, {"a": given})[0] == Grade("passed", score)


@pytest.mark.parametrize(
    ("rule", "given", "reason"),
    [
        ("required", "passed", "no score"),
        ("unbounded", "passed", "no score"),
        ("unbounded", ("passed", -1.0), "not from 0 to inf"),
        ("unbounded", ("passed", None, 0.5), "no points to multiply"),
        ("bounded", ("passed", 8.5), "not from 0 to 8"),
        ("bounded", ("passed", -0.5), "not from 0 to 8"),
        ("bounded", ("passed", None, 1.5), "not from 0 to 1"),
        ("bounded", ("passed", 1.0, 0.5), "both"),
        ("optional", ("passed", math.nan), "finite"),
        ("optional", ("passed", math.inf), "finite"),
        ("forbidden", ("passed", 1.0), "all that counts"),
        ("optional", ("wrong_answer", 1.0), "rejects"),
    ],
)
def test_what_a_checker_must_not_give(rule: str, given: Given, reason: str) -> None:
    root = group("", case("a", points=8.0, checker_score=rule), aggregation="sum")
    whole, _, grades = play(root, {"a": given})
    assert whole.outcome == grades["a"].outcome == "judge_error"
    assert reason in grades["a"].reason
    assert whole.reason == grades["a"].reason


def test_a_problem_without_points_takes_no_scores() -> None:
    assert play(group("", case("a")), {"a": ("passed", 1.0)}, scored=False)[0].outcome == "judge_error"


def test_a_group_must_not_be_worth_more_than_it_may() -> None:
    root = group(
        "",
        group("g", case("a", points=5.0), case("b", points=6.0), aggregation="sum", max_score=10.0),
        aggregation="sum",
    )
    whole, _, _ = play(root)
    assert whole.outcome == "judge_error"
    assert "11, more than 10" in whole.reason


def test_a_grader_of_the_authors_decides() -> None:
    asked: list[tuple[Tool, tuple[str, ...], str]] = []

    async def run(tool: Tool, arguments: tuple[str, ...], text: str) -> str:
        asked.append((tool, arguments, text))
        return "AC 42.5\n"

    inner = group(
        "g",
        case("a", points=1.0),
        case("b", points=1.0),
        case("c", points=1.0),
        grader=GRADER,
        grader_arguments=("-x",),
        stop_on_failure=False,
    )
    whole, _, _ = play(group("", inner, aggregation="sum"), {"b": "memory_limit", "c": "output_limit"}, run_grader=run)
    assert whole == Grade("passed", 42.5)
    assert asked == [(GRADER, ("-x",), "AC 1.0\nRTE 0.0\nOLE 0.0\n")]


@pytest.mark.parametrize(
    "printed", ["", "AC", "AC 1 2", "PASSED 1", "AC nan", "AC 1e3", f"AC {'1' * 10**6}x", "WA 1\nAC 1", " AC 1", "AC ١"]
)
def test_a_grader_that_prints_something_else_is_a_judge_error(printed: str) -> None:
    async def run(tool: Tool, arguments: tuple[str, ...], text: str) -> str:
        return printed

    whole, _, _ = play(group("", case("a"), grader=GRADER), run_grader=run)
    assert whole.outcome == "judge_error"
    assert "grade.py printed" in whole.reason


def test_a_grader_that_fails_is_a_judge_error() -> None:
    async def run(tool: Tool, arguments: tuple[str, ...], text: str) -> str:
        raise GraderError("it exited with 1")

    whole, _, _ = play(group("", case("a"), grader=GRADER), run_grader=run)
    assert (whole.outcome, whole.reason) == ("judge_error", "the grader grade.py failed: it exited with 1")
    assert "nobody" in play(group("", case("a"), grader=GRADER))[0].reason
