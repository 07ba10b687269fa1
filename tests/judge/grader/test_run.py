"""A grader runs beside the solution, and its results are the submission's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from subcli.judge import Job, Problem, ProblemError, judge, load_problem
from subcli.judge.check import check_problem
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.choice import choose
from tests.judge.judging import Judged, Run

DRIVER = """
import json, solution
tests = [{"name": f"double {n}", "score": 2 * (solution.double(n) == 2 * n), "max_score": 2} for n in (1, 2)]
json.dump({"tests": tests}, open("results.json", "w"))
"""
GOOD = "def double(n): return 2 * n\n"
HALF = "def double(n): return 2\n"


def make(root: Path, driver: str = DRIVER, results: str = "results.json", more: str = "") -> Problem:
    """A problem whose grader is a Python program."""
    (root / "tests").mkdir()
    (root / "tests/driver.py").write_text(driver)
    (root / "description.md").write_text("Double.")
    (root / "problem.toml").write_text(
        f'id = 900\nslug = "double"\ntitle = "Double"\nlanguages = ["python"]\nrunner = "grader"\n{more}\n'
        f'[grader]\nfiles = ["driver.py"]\ncommand = ["{{python}}", "driver.py"]\nresults = "{results}"\n'
    )
    return load_problem(root)


@pytest.mark.thorough
async def test_points_come_from_the_grader(run: Run, tmp_path: Path) -> None:
    """All points pass; half of them fail, and both figures are told."""
    problem = make(tmp_path)
    assert (await run(problem, {"solution.py": GOOD})).verdict == "passed"
    judged = await run(problem, {"solution.py": HALF})
    summary = judged.events[-1]["summary"]
    assert (judged.verdict, judged.failed) == ("failed", ["double 2"])
    assert (summary["score"], summary["max_score"]) == (2, 4)


@pytest.mark.thorough
async def test_tap_is_read_from_stdout(run: Run, tmp_path: Path) -> None:
    """With `results = "tap"` nothing is written to a file."""
    driver = "import solution\nprint('1..1')\nprint('ok 1 - two' if solution.double(1) == 2 else 'not ok 1 - two')\n"
    problem = make(tmp_path, driver, "tap")
    assert (await run(problem, {"solution.py": GOOD})).verdict == "passed"
    assert (await run(problem, {"solution.py": "def double(n): return 0"})).failed == ["two"]


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"solution.py": "import os; os._exit(0)"}, id="exit before the results"),
        pytest.param({"solution.py": HALF, "results.json": '{"tests": [{"status": "passed"}]}'}, id="brought along"),
        pytest.param({"solution.py": HALF, "driver.py": "print('mine')"}, id="another driver"),
        pytest.param({"solution.py": "open('results.json', 'w').write('{'); import os; os._exit(0)"}, id="not JSON"),
        pytest.param(
            {"solution.py": 'import os; open("results.json", "w").write(\'{"tests": [{}]}\'); os._exit(0)'},
            id="too few tests",
        ),
    ],
)
async def test_forgery_that_fails(run: Run, tmp_path: Path, files: dict[str, str]) -> None:
    """What does not write whole results in the grader's place gains nothing."""
    assert (await run(make(tmp_path, more="total_tests = 2"), files)).verdict == "failed"


async def test_forgery_that_succeeds(run: Run, tmp_path: Path) -> None:
    """Whoever writes the results in full, and ends the grader, has passed: docs/judging.md says so."""
    forged = 'import os; open("results.json", "w").write(\'{"tests": [{}, {}]}\'); os._exit(0)'
    assert (await run(make(tmp_path, more="total_tests = 2"), {"solution.py": forged})).verdict == "passed"


async def test_a_command_that_cannot_be_started_is_the_authors_fault(run: Run, tmp_path: Path) -> None:
    """The verdict is `error`, and not the learner's failure."""
    problem = make(tmp_path)
    file = tmp_path / "problem.toml"
    file.write_text(file.read_text().replace('"{python}"', '"./missing"'))
    problem = load_problem(tmp_path)
    assert (await run(problem, {"solution.py": GOOD})).verdict == "error"


@pytest.mark.parametrize("visibility", ["visible", "hidden", "after_published"])
async def test_log_of_a_grader_with_secret_tests_is_not_shown(run: Run, tmp_path: Path, visibility: str) -> None:
    """It may quote them."""
    driver = (
        "import json, sys\n"
        f"tests = [{{'name': 'a', 'status': 'passed', 'visibility': '{visibility}'}}]\n"
        "json.dump({'tests': tests}, open('results.json', 'w'))\n"
        "sys.exit('planted')\n"
    )
    judged = await run(make(tmp_path, driver), {"solution.py": GOOD})
    assert judged.verdict == "failed"
    assert "exited with code 1" in json.dumps(judged.events)
    assert ("planted" in json.dumps(judged.events)) is (visibility == "visible")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With the file and the line of problem.toml."""
    make(tmp_path)
    (tmp_path / "tests/driver.py").unlink()
    with pytest.raises(ProblemError, match=r"problem.toml:\d+: .*driver.py"):
        load_problem(tmp_path)


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
async def test_in_a_sandbox_it_works_in_a_copy(tmp_path: Path) -> None:
    """The solution's directory is read-only there."""
    starter = choose(Sandbox.BWRAP, for_others=True, hidden=()).starter
    events = [event async for event in judge(Job(make(tmp_path), "python", {"solution.py": HALF}), starter=starter)]
    assert Judged(events, []).failed == ["double 2"]


def bring(root: Path, grader: str, files: dict[str, str], more: str = 'languages = ["python"]') -> Problem:
    """A problem with this table [grader] and these files beside `problem.toml`, as they came."""
    for name, text in {"description.md": "Double.", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    head = 'id = 901\nslug = "double"\ntitle = "Double"\nrunner = "grader"\ntests = "."\n'
    (root / "problem.toml").write_text(f"{head}{more}\n[grader]\n{grader}\n")
    return load_problem(root)


HOMEWORK = """
import fcntl
from hw import double

def test_double():
    with open("notes", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_EX)
    assert double(2) == 4
"""
PYTEST = 'files = ["test_*.py"]\ncommand = ["pytest", "--junit-xml=out.xml"]\nresults = "out.xml"'
AUTOGRADER = """#!/usr/bin/env bash
cp /autograder/submission/hw.py /autograder/source/ || exit 1
cd /autograder/source
python3 tests/run.py
"""
AUTOGRADER_TESTS = """
import datetime, json, sys
sys.path.insert(0, "/autograder/source")
about = json.load(open("/autograder/submission_metadata.json"))
created, due = map(datetime.datetime.fromisoformat, (about["created_at"], about["assignment"]["due_date"]))
assert created < due and about["users"][0]["id"] and about["previous_submissions"] == []
from hw import double
tests = [{"name": "two", "score": float(double(2) == 4), "max_score": 1.0, "output": "2 -> %r" % double(2)}]
more = {"leaderboard": [{"name": "Time", "value": 1.5}], "extra_data": {"seed": 7}}
json.dump({"tests": tests, "output": "Thank you", **more}, open("/autograder/results/results.json", "w"))
"""


async def judged_in(problem: Problem, files: dict[str, str], *, sandbox: bool, language: str = "python") -> Judged:
    """The submission, judged with or without a sandbox."""
    wanted = Sandbox.BWRAP if sandbox else Sandbox.NONE
    starter = choose(wanted, for_others=True, hidden=()).starter
    return Judged([event async for event in judge(Job(problem, language, files), starter=starter)], [])


SANDBOXES = pytest.mark.parametrize(
    "sandbox",
    [
        pytest.param(False, marks=pytest.mark.thorough),
        pytest.param(
            True, marks=pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
        ),
    ],
)


@pytest.mark.thorough
@SANDBOXES
async def test_a_pytest_homework_as_it_is(tmp_path: Path, sandbox: bool) -> None:
    """The judge's own pytest is there, a single file keeps its name, and tools may lock files."""
    problem = bring(tmp_path, PYTEST, {"test_hw.py": HOMEWORK})
    name = problem.languages["python"].name_of_single("hw.py")
    assert (await judged_in(problem, {name: GOOD}, sandbox=sandbox)).verdict == "passed"
    judged = await judged_in(problem, {name: HALF.replace("2", "3")}, sandbox=sandbox)
    (result,) = judged.of("test_result")
    assert (judged.verdict, result["message"]) == ("failed", "assert 3 == 4\n +  where 3 = double(2)")


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
@SANDBOXES
async def test_a_gradescope_autograder_as_it_is(tmp_path: Path, sandbox: bool) -> None:
    """It finds /autograder/source, submission and results, and is started as Gradescope starts it."""
    files = {"run_autograder": AUTOGRADER, "tests/run.py": AUTOGRADER_TESTS, "hw.py": "raise SystemExit('not this')"}
    problem = bring(tmp_path, 'results = "gradescope"', files)
    assert (await judged_in(problem, {"hw.py": GOOD}, sandbox=sandbox)).verdict == "passed"
    judged = await judged_in(problem, {"hw.py": HALF.replace("2", "3")}, sandbox=sandbox)
    (result,) = judged.of("test_result")
    assert (judged.verdict, result["message"], judged.events[-1]["summary"]["score"]) == ("failed", "2 -> 3", 0)
    assert [event["detail"] for event in judged.of("status_update") if "detail" in event] == ["Thank you"]


async def test_the_exit_code_is_the_one_test(run: Run, tmp_path: Path) -> None:
    """What the command printed is shown with it."""
    checks = "import solution\nprint('checking')\nassert solution.double(2) == 4, 'not 4'\n"
    grader = 'files = ["check.py"]\ncommand = ["python3", "check.py"]\nresults = "exit"'
    problem = bring(tmp_path, grader, {"check.py": checks})
    assert (await run(problem, {"solution.py": GOOD})).verdict == "passed"
    judged = await run(problem, {"solution.py": "def double(n): return 3\n"})
    (result,) = judged.of("test_result")
    assert (result["message"], result["output"].partition("\n")[0]) == ("AssertionError: not 4", "checking")


async def test_what_does_not_compile_is_a_failed_build(run: Run, tmp_path: Path) -> None:
    """Although it is the grader that compiles it: the learner reads what the compiler says, and where."""
    grader = 'files = ["t.c"]\ncommand = ["cc", "t.c", "solution.c"]\nresults = "unity"'
    problem = bring(tmp_path, grader, {"t.c": "int main(void) { return 0; }"}, 'languages = ["c"]')
    judged = await run(problem, {"solution.c": "int x = ;\n"}, "c")
    assert judged.verdict == "build_failed"
    assert judged.analysis["location"] == {"file": "solution.c", "line": 1}
    assert "expected expression" in judged.of("status_update")[-1]["detail"]


async def test_a_package_that_is_not_installed_is_the_operators_fault(run: Run, tmp_path: Path) -> None:
    """It is named, and the verdict is `error`."""
    problem = bring(tmp_path, f'{PYTEST}\npackages = ["no-such-package"]', {"test_hw.py": HOMEWORK})
    judged = await run(problem, {"hw.py": GOOD})
    assert judged.verdict == "error"
    assert "no-such-package" in judged.analysis["error"]


@pytest.mark.parametrize(
    ("grader", "complaint"),
    [
        ('files = ["*.py"]\ncommand = ["true"]\nresults = "exit"', "has 'hw.py', which is what solutions in python"),
        ('files = ["*.txt"]\ncommand = ["true"]\nresults = "exit"', "there is no '\\*.txt'"),
        ('files = ["**x"]\ncommand = ["true"]\nresults = "exit"', r"toml:9: `grader.files\[0\]` must be .*'\*\*x'$"),
        ('command = ["true"]\nresults = "exit"', "`grader.files` is missing"),
        ('files = ["test_hw.py"]\nresults = "exit"', "`grader.command` is missing"),
        ('files = ["test_hw.py"]\ncommand = ["true"]\nresults = "report"', "or a path or pattern that ends in"),
        ('results = "gradescope"\nbuild = ["make"]', "run_autograder builds"),
    ],
)
def test_a_table_that_cannot_work_is_refused(tmp_path: Path, grader: str, complaint: str) -> None:
    """In one sentence, when the problem is loaded."""
    files = {"hw.py": "", "test_hw.py": HOMEWORK}
    with pytest.raises(ProblemError, match=complaint):
        bring(tmp_path, grader, files, '[languages.python]\nsource = "hw.py"')


def test_a_grader_gets_what_build_tools_take(tmp_path: Path) -> None:
    """Unless the author says otherwise."""
    said = 'languages = ["python"]\n[limits]\nmemory_mb = 99'
    limits = bring(tmp_path, PYTEST, {"test_hw.py": HOMEWORK}, said).limits
    assert (limits.memory_mb, limits.disk_mb, limits.processes) == (99, 512, 64)


def test_check_judges_a_solution_of_several_files(tmp_path: Path) -> None:
    """`files` says what each is called in a submission."""
    solution = '[[solutions]]\nlanguage = "python"\nexpect = "passed"\n'
    names = 'files = {"hw.py" = "example/hw.py", "helper.py" = "example/other.py"}'
    parts = {
        "example/hw.py": "from helper import double\n",
        "example/other.py": GOOD,
        "t.py": "import hw; hw.double(2)",
    }
    grader = 'files = ["t.py"]\ncommand = ["python3", "t.py"]\nresults = "exit"'
    bring(tmp_path, f"{grader}\n{solution}{names}", parts)
    assert [check.detail for check in check_problem(tmp_path).checks if not check.ok] == []
    file = tmp_path / "problem.toml"
    file.write_text(file.read_text().replace(names, ""))
    with pytest.raises(ProblemError, match="must have either `file` or `files`"):
        load_problem(tmp_path)


@pytest.mark.thorough
def test_check_accepts_a_template_that_does_not_link_yet(tmp_path: Path) -> None:
    """The tests of a grader call what is still to be written."""
    grader = 'files = ["t.c"]\ncommand = ["cc", "t.c", "hw.c"]\nresults = "unity"'
    files = {"t.c": "int f(void);\nint main(void) { return f(); }\n", "hw.c": "/* to be written */\n"}
    bring(tmp_path, grader, files, '[languages.c]\nsource = "hw.c"\ntemplate = "hw.c"')
    template = next(check for check in check_problem(tmp_path).checks if check.what == "template c")
    assert (template.ok, template.detail) == (True, "does not build with the tests yet")
