"""What a worker can judge."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from subcli.judge import Job, Language, Problem, ResourceLimits, judge, load_problem
from subcli.judge.grader.model import Grader
from subcli.judge.process.space import Space
from subcli.server.jobs.ability import Ability, try_out
from tests.hang import HANG_S

PLENTY = Space(1000, 1_000_000)


@pytest.fixture
def problems(tmp_path: Path) -> dict[str, Problem]:
    """Two problems in the same languages, and one of them in C."""
    python = Language("python", "a.py", ("{python}", "{source}"))
    node = Language("javascript", "a.js", ("node", "{source}"), requires=("node",))
    found = {}
    for number, slug in enumerate(("one", "two"), 1):
        (tmp_path / slug / "tests").mkdir(parents=True)
        languages = {"python": python, "javascript": node}
        found[slug] = Problem(number, slug, slug, "", languages, ResourceLimits(), tmp_path / slug)
    found["two"] = replace(found["two"], languages={"python": python, "cobol": Language("cobol", "a.cob", ("./a",))})
    return found


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH; it has a `node`."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    (programs / "node").touch(mode=0o755)
    return programs


def works(ability: Ability) -> dict[str, set[str]]:
    return {slug: set(languages) for slug, languages in ability.look().items()}


def test_a_language_without_its_programs(
    problems: dict[str, Problem], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not judged, which is logged once, until they are back."""
    ability = Ability(problems, space=lambda: PLENTY)
    assert works(ability) == {"one": {"python", "javascript"}, "two": {"python", "cobol"}}
    (path / "node").unlink()
    for _ in range(3):
        assert works(ability) == {"one": {"python"}, "two": {"python", "cobol"}}
    assert not ability.can_judge("one", "javascript")
    assert [record.getMessage() for record in caplog.records] == [
        "this worker does not judge one in javascript: node: not installed"
    ]
    assert ability.obstacle == ""
    (path / "node").touch(mode=0o755)
    assert ability.can_judge("one", "javascript")
    assert "judges one in javascript again" in caplog.text


def test_what_many_problems_lack_is_logged_once(
    problems: dict[str, Problem], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line names all languages that a problem lacks, and a few of the problems that lack the same."""
    many = {f"p{number}": replace(problems["one"], slug=f"p{number}") for number in range(5)}
    (path / "node").unlink()
    ability = Ability(many, space=lambda: PLENTY)
    assert [record.getMessage() for record in caplog.records] == [
        "this worker does not judge p0, p1, p2 and 2 more problems in javascript: node: not installed"
    ]
    caplog.clear()
    languages = {name: replace(problems["one"].languages["javascript"], name=name) for name in ("go", "javascript")}
    every = replace(problems["one"], languages={**problems["one"].languages, **languages})
    ability = Ability({**many, "every": replace(every, slug="every"), "other": every}, space=lambda: PLENTY)
    assert [record.getMessage() for record in caplog.records] == [
        "this worker does not judge every, other in go (node: not installed), javascript (node: not installed)",
        "this worker does not judge p0, p1, p2 and 2 more problems in javascript: node: not installed",
    ]
    caplog.clear()
    (path / "node").touch(mode=0o755)
    ability.look()
    assert [record.getMessage() for record in caplog.records] == [
        "this worker judges every, other in go, javascript again",
        "this worker judges p0, p1, p2 and 2 more problems in javascript again",
    ]


def test_the_command_of_tap_tests_is_a_program_too(problems: dict[str, Problem], path: Path) -> None:
    """Of the judge's own Python, and of programs beside the tests, nothing is asked."""
    commands = {"a": ("bats", "."), "b": ("{python}", "run.py"), "c": ("./run.sh",), "d": ("/no/such/program",)}
    made = {slug: replace(problems["one"], slug=slug, command=command) for slug, command in commands.items()}
    assert set(works(Ability(made, space=lambda: PLENTY))) == {"b", "c"}


def test_a_problem_that_has_vanished(problems: dict[str, Problem], path: Path) -> None:
    """Its tests were removed while the worker runs."""
    ability = Ability(problems, space=lambda: PLENTY)
    shutil.rmtree(problems["one"].root)
    assert set(works(ability)) == {"two"}


def test_too_little_space(problems: dict[str, Problem], path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each problem needs what it promises to a solution, and 16 MB; what else it can do, the worker still knows."""
    problems["two"] = replace(problems["two"], limits=ResourceLimits(disk_mb=100))
    space = PLENTY

    def measured() -> Space:
        if space.mb < 0:
            raise PermissionError(13, "Permission denied")
        return space

    ability = Ability(problems, space=measured)
    for mb, files, able in ((116, 5000, {"one", "two"}), (115, 5000, {"one"}), (79, 5000, set()), (116, 4095, set())):
        space = Space(mb, files)
        assert set(ability.look()) == able
        assert bool(ability.obstacle) is (not able)
        assert set(ability.lasting) == {"one", "two"}
    assert "4095 files" in ability.obstacle
    space = Space(-1, 0)
    assert ability.look() == {}
    assert "Permission denied" in ability.obstacle
    space = PLENTY
    assert set(ability.look()) == {"one", "two"}
    its = "for the moment: its temporary directory:"
    assert [record.getMessage() for record in caplog.records] == [
        f"this worker does not judge two {its} 115 MB are free, and 116 MB are needed",
        f"this worker judges nothing {its} 79 MB are free, and 80 MB are needed",
        "this worker has space for one again",
        "this worker has space for two again",
    ]


def test_too_little_space_from_the_start(problems: dict[str, Problem], path: Path) -> None:
    """What was never tried cannot be tried: the worker says that it judges nothing, and why."""
    del problems["two"]
    space = Space(1, 1)
    ability = Ability(problems, Trials(), space=lambda: space)
    assert ability.look() == {}
    assert "1 MB are free" in ability.obstacle
    assert set(ability.lasting) == {"one"}
    # Enough for the problem, but not for its trial.
    problems["one"] = replace(problems["one"], limits=ResourceLimits(disk_mb=8))
    space = Space(30, 1_000_000)
    ability = Ability(problems, Trials(), space=lambda: space)
    assert "30 MB are free" in ability.obstacle


def test_a_worker_that_lacks_everything(problems: dict[str, Problem], path: Path) -> None:
    """It does not look healthy either."""
    for problem in problems.values():
        shutil.rmtree(problem.root)
    ability = Ability(problems, space=lambda: PLENTY)
    assert ability.obstacle == "it lacks what its problems need"


class Trials:
    """Answers trials as the test says."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.complaints: dict[tuple[str, str], str] = {}
        self.now = 0.0

    async def __call__(self, job: Job) -> str:
        self.jobs.append(job)
        return self.complaints.get((job.problem.slug, job.language), "")


@asynccontextmanager
async def trying(ability: Ability) -> AsyncIterator[None]:
    task = asyncio.create_task(ability.keep_trying())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_nothing_is_judged_before_it_was_tried(
    problems: dict[str, Problem], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for all problems that build and run a language alike; where no hello-world is known, programs decide."""
    caplog.set_level(logging.INFO)
    trials = Trials()
    ability = Ability(problems, trials, space=lambda: PLENTY)
    assert works(ability) == {"two": {"cobol"}}
    assert not ability.is_settled
    async with trying(ability):
        await until(lambda: ability.is_settled)
    assert works(ability) == {"one": {"python", "javascript"}, "two": {"python", "cobol"}}
    assert ability.obstacle == ""
    assert [(job.problem.slug, job.language) for job in trials.jobs] == [("hello", "python"), ("hello", "javascript")]
    assert "python works here" in caplog.text


def test_a_grader_is_not_tried_with_a_hello_world(problems: dict[str, Problem], path: Path) -> None:
    """Its commands start the grader, which a hello-world does not have: programs decide."""
    graded = {"one": replace(problems["one"], grader=Grader((), "exit"))}
    assert works(Ability(graded, Trials(), space=lambda: PLENTY)) == {"one": {"python", "javascript"}}


async def test_a_language_that_does_not_work(
    problems: dict[str, Problem], path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not judged, the log says why, and it is tried again from time to time."""
    monkeypatch.setattr("subcli.server.jobs.ability._LOOK_S", 0.01)
    trials = Trials()
    trials.complaints["hello", "javascript"] = "Cannot find module"
    ability = Ability(problems, trials, space=lambda: PLENTY, clock=lambda: trials.now)
    async with trying(ability):
        await until(lambda: ability.is_settled and len(trials.jobs) == 2)
        assert works(ability) == {"one": {"python"}, "two": {"python", "cobol"}}
        assert "does not judge one in javascript: Cannot find module" in caplog.text
        trials.complaints.clear()
        trials.now += 61
        await until(lambda: ability.can_judge("one", "javascript"))
    assert len(trials.jobs) == 3


async def test_the_authors_solution_decides_where_a_hello_world_does_not_fit(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Their commands may need more than one file, or print something themselves."""
    made = {}
    for number, slug in enumerate(("fits", "fits-not"), 1):
        root = tmp_path / slug
        (root / "tests").mkdir(parents=True)
        (root / "description.md").write_text("Answer.")
        (root / "answer.js").write_text("1")
        (root / "problem.toml").write_text(
            f'id = {number}\nslug = "{slug}"\ntitle = "T"\n[languages.javascript]\nsource = "a.js"\nrun = ["node"]\n'
            '[[solutions]]\nfile = "answer.js"\nlanguage = "javascript"\nexpect = "passed"\n'
        )
        made[slug] = load_problem(root)
    trials = Trials()
    trials.complaints["hello", "javascript"] = trials.complaints["fits-not", "javascript"] = "exit code 1"
    ability = Ability(made, trials, space=lambda: PLENTY)
    async with trying(ability):
        await until(lambda: len(trials.jobs) == 3)
        await until(lambda: "fits" in ability.look())
    assert works(ability) == {"fits": {"javascript"}}
    assert trials.jobs[1].files == {"a.js": "1"}
    assert "does not judge fits-not in javascript: exit code 1" in caplog.text


async def test_an_authors_solution_that_cannot_be_read(tmp_path: Path, path: Path) -> None:
    """It decides nothing: the hello-world does, and the other languages are tried all the same."""
    root = tmp_path / "latin"
    (root / "tests").mkdir(parents=True)
    (root / "description.md").write_text("Answer.")
    (root / "answer.js").write_bytes(b"// caf\xe9")
    (root / "problem.toml").write_text(
        'id = 1\nslug = "latin"\ntitle = "T"\n[languages.javascript]\nsource = "a.js"\nrun = ["node"]\n'
        '[languages.lua]\nsource = "a.lua"\nrun = ["node"]\n'
        '[[solutions]]\nfile = "answer.js"\nlanguage = "javascript"\nexpect = "passed"\n'
    )
    trials = Trials()
    trials.complaints["hello", "javascript"] = "exit code 1"
    ability = Ability({"latin": load_problem(root)}, trials, space=lambda: PLENTY)
    async with trying(ability):
        await until(lambda: ability.is_settled)
    assert works(ability) == {"latin": {"lua"}}


async def test_a_trial_that_raises_ends_no_others(
    problems: dict[str, Problem], path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was not foreseen is logged, and tried again."""
    monkeypatch.setattr("subcli.server.jobs.ability._LOOK_S", 0.01)
    trials = Trials()

    async def breaks_once(job: Job) -> str:
        await trials(job)
        if len(trials.jobs) == 1:
            raise RuntimeError("not foreseen")
        return ""

    ability = Ability(problems, breaks_once, space=lambda: PLENTY)
    async with trying(ability):
        await until(lambda: ability.is_settled)
    assert works(ability) == {"one": {"python", "javascript"}, "two": {"python", "cobol"}}
    assert "not foreseen" in caplog.text


async def test_a_trial_without_space_says_nothing_about_the_language(problems: dict[str, Problem], path: Path) -> None:
    """The language is tried again as soon as there is space."""
    space = PLENTY
    trials = Trials()

    async def full(job: Job) -> str:
        nonlocal space
        space = Space(1, 1) if not trials.jobs else PLENTY
        await trials(job)
        return "ld: No space left on device" if space is not PLENTY else ""

    ability = Ability(problems, full, space=lambda: space)
    async with trying(ability):
        await until(lambda: len(trials.jobs) == 1)
        assert not ability.is_settled
        space = PLENTY
        await until(lambda: ability.is_settled)
    assert ability.can_judge("one", "python")


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
async def test_a_real_trial(tmp_path: Path) -> None:
    """The real judge: a language that works, one whose compiler fails, and one that prints something else."""
    (tmp_path / "tests").mkdir()
    sh = ("sh", "-c")
    languages = {
        "python": Language("python", "a.py", ("{python}", "{source}")),
        "c": Language("c", "a.c", ("./a",), build=(*sh, "echo no crt1.o; exit 1")),
        "sh": Language("sh", "a.sh", (*sh, "echo error loading java.security >&2; exit 1")),
    }
    made = {"one": Problem(1, "one", "One", "", languages, ResourceLimits(), tmp_path)}
    ability = Ability(made, partial(try_out, judge), space=lambda: PLENTY)
    async with trying(ability):
        await until(lambda: ability.is_settled)
    assert works(ability) == {"one": {"python"}}


async def test_a_judge_that_raises_fails_its_trial() -> None:
    """So it does if it ends without a verdict."""

    async def raises(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        yield {"type": "status_update", "status": "building"}
        raise OSError("no pipes left")

    async def stops(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        yield {"type": "status_update", "status": "building"}

    job = Job(Problem(1, "hello", "", "", {}, ResourceLimits(), Path()), "c", {})
    assert await try_out(raises, job) == "OSError: no pipes left"
    assert await try_out(stops, job) == "hello in c: no verdict"


@pytest.mark.parametrize(("second", "complaint"), [("passed", ""), ("failed", "hello in c: too slow")])
async def test_a_trial_that_ran_out_of_time_on_a_busy_machine(second: str, complaint: str) -> None:
    """It is repeated alone, and then it counts."""
    jobs: list[Job] = []

    async def busy(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        jobs.append(job)
        yield {"type": "error_analysis", "error": "too slow"}
        verdict = "failed" if len(jobs) == 1 else second
        yield {"type": "complete", "final_status": verdict, "time_out": "contended"}

    job = Job(Problem(1, "hello", "", "", {}, ResourceLimits(), Path()), "c", {})
    assert await try_out(busy, job) == complaint
    assert [each.alone for each in jobs] == [False, True]
