"""A grader runs beside the solution, and its results are the submission's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from subcli.judge import Job, Problem, ProblemError, judge, load_problem
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


async def test_points_come_from_the_grader(run: Run, tmp_path: Path) -> None:
    """All points pass; half of them fail, and both figures are told."""
    problem = make(tmp_path)
    assert (await run(problem, {"solution.py": GOOD})).verdict == "passed"
    judged = await run(problem, {"solution.py": HALF})
    summary = judged.events[-1]["summary"]
    assert (judged.verdict, judged.failed) == ("failed", ["double 2"])
    assert (summary["score"], summary["max_score"]) == (2, 4)


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


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
async def test_in_a_sandbox_it_works_in_a_copy(tmp_path: Path) -> None:
    """The solution's directory is read-only there."""
    starter = choose(Sandbox.BWRAP, for_others=True, hidden=()).starter
    events = [event async for event in judge(Job(make(tmp_path), "python", {"solution.py": HALF}), starter=starter)]
    assert Judged(events, []).failed == ["double 2"]
