"""Failing programs in six languages: each gets the explanation that is true of it, with and without a sandbox."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from subcli.judge import Job, LocalStarter, Problem, Starter, judge, load_problem
from subcli.judge.sandbox.probe import probe

CORPUS = Path(__file__).with_name("corpus")
EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((CORPUS / "expected.toml").read_text(encoding="utf-8"))
NEVER: list[str] = EXPECTED.pop("defaults")["never"]
SUFFIXES = {"python": "py", "javascript": "js", "c": "c", "cpp": "cpp", "java": "java", "go": "go"}
QUICK = ("python",)
"""The language of a default run; the others take a compiler or a runtime that is slow to start."""
SLOW = ("time", "memory")
"""Programs that compute until they are stopped."""
BARE = ("python",)
"""The language that runs without a sandbox too."""
SAMPLED = ("python", "cpp", "java")
"""Of these, CI runs every third in the sandbox."""
ALL = os.environ.get("SUBCLI_TEST_CORPUS") == "all"


def cases(language: str, *names: str) -> Iterator[Any]:
    """Where each program is run, which language it is in, and its name.

    They run in the sandbox, as a judge runs them; without one, the explanation is made of the same evidence. So CI runs
    every third of Python in the sandbox too, and none of the slower languages without it. Of C++, whose faults are told
    as those of C, and of Java, which starts slowly, it runs every third. `make soak` runs them all.
    """
    for number, name in enumerate(names):
        if ALL or language in BARE:
            is_quick = language in QUICK and name not in SLOW
            yield pytest.param("local", language, name, marks=() if is_quick else pytest.mark.thorough)
        if ALL or language not in SAMPLED or number % 3 == 0:
            yield pytest.param("sandbox", language, name, marks=pytest.mark.thorough)


CORRECT = [case for language in SUFFIXES for case in cases(language, "correct")]
FAILING = [case for language, found in EXPECTED.items() for case in cases(language, *found)]


@pytest.fixture(scope="session")
def adder() -> Problem:
    return load_problem(CORPUS / "problem")


@pytest.fixture
def starter(request: pytest.FixtureRequest) -> Starter:
    if request.param == "local":
        return LocalStarter()
    found = probe(cpus=1.0)
    if found.starter is None:
        pytest.skip(f"no sandbox: {found.reason}")
    return found.starter


@pytest.fixture
def explain(adder: Problem, starter: Starter) -> Callable[[str, str], Awaitable[list[dict[str, Any]]]]:
    """Judges one program of the corpus; its events."""

    async def run(language: str, name: str) -> list[dict[str, Any]]:
        for tool in adder.languages[language].requires:
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed")
        file = CORPUS / language / f"{name}.{SUFFIXES[language]}"
        # A harness that waits for each answer sees a missing flush.
        live = EXPECTED[language].get(name, {}).get("live", False)
        problem = replace(adder, command=(*adder.command, "live")) if live else adder
        job = Job(problem, language, {file.name: file.read_text(encoding="utf-8")})
        return [dict(event) async for event in judge(job, starter=starter)]

    return run


@pytest.mark.parametrize(("starter", "language", "name"), CORRECT, indirect=["starter"])
async def test_correct_program_passes(
    explain: Callable[..., Awaitable[list[dict[str, Any]]]], language: str, name: str
) -> None:
    """Otherwise a broken compiler or sandbox would look like a good explanation."""
    events = await explain(language, name)
    assert events[-1]["final_status"] == "passed", events


@pytest.mark.parametrize(("starter", "language", "name"), FAILING, indirect=["starter"])
async def test_failure_is_explained(
    explain: Callable[..., Awaitable[list[dict[str, Any]]]], language: str, name: str
) -> None:
    """Category, place and words are those of the program's real fault."""
    expected = EXPECTED[language][name]
    events = await explain(language, name)
    assert events[-1]["final_status"] == ("build_failed" if name == "compile_error" else "failed")
    analysis = next(event for event in events if event["type"] == "error_analysis")
    text = f"{analysis['error']}\n{analysis['analysis']}\n" + "\n".join(analysis["suggestions"])
    assert re.fullmatch(expected["category"], analysis["category"]), text
    place = analysis.get("location") or {}
    assert place.get("line") == expected.get("line"), text
    if place:
        assert place["file"] == f"{name}.{SUFFIXES[language]}"
    for pattern in expected["says"]:
        assert re.search(pattern, text), f"{pattern!r} is not in:\n{text}"
    for pattern in (*NEVER, *expected.get("never", ())):
        assert not re.search(pattern, text), f"{pattern!r} is in:\n{text}"
