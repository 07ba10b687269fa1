"""A build has a memory limit of its own: compilers need more than the programs that they make."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import aclosing

import pytest

from subcli.judge import Job, LocalStarter, Problem, Starter, judge
from subcli.judge.sandbox.probe import probe
from tests.judge.judging import Event, Judged, MakeProblem, Run

TAP = 'runner = "tap"\ncommand = ["{python}", "run.py"]'
SAYS_YES = """
import os, subprocess
said = subprocess.run([os.environ["SUBCLI_SOLUTION"]], capture_output=True, text=True).stdout
print("1..1", "ok 1" if said == "yes" else "not ok 1 - " + repr(said), sep="\\n")
"""
CPP = """
[languages.cpp]
source = "a.cpp"
build = ["g++", "-O2", "-o", "a.out", "{sources}"]
run = ["./a.out"]
"""
RUST = """
[languages.rust]
source = "a.rs"
build = ["RUSTC", "-O", "-o", "a.out", "{source}"]
run = ["./a.out"]
"""
SH = """
[languages.sh]
source = "a.sh"
build = ["{python}", "-c", "import time; kept = b'x' * 200_000_000; time.sleep(20)"]
bounded_address_space = false
run = ["sh", "{source}"]
"""


async def _judged(problem: Problem, language: str, source: str, starter: Starter) -> Judged:
    job = Job(problem, language, {problem.languages[language].source: source})
    async with aclosing(judge(job, starter=starter)) as judging:
        events: list[Event] = [event async for event in judging]
    return Judged(events, [])


@pytest.fixture
def rustc() -> str:
    """The compiler itself; the `rustc` of rustup wants its settings, which a build does not have."""
    if shutil.which("rustc") is None:
        pytest.skip("needs a Rust compiler")
    done = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True)
    return f"{done.stdout.strip()}/bin/rustc"


@pytest.fixture(params=["local", pytest.param("bwrap", marks=pytest.mark.thorough)])
def starter(request: pytest.FixtureRequest) -> Starter:
    if request.param == "local":
        return LocalStarter()
    found = probe(cpus=2.0).starter if shutil.which("bwrap") else None
    if found is None:
        pytest.skip("needs a bubblewrap that works")
    return found


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
async def test_cpp_compiles_for_a_small_program(tiny: MakeProblem, starter: Starter) -> None:
    """The whole standard library is compiled where the program may use 64 MB."""
    problem = tiny(SAYS_YES, limits="memory_mb = 64\ntotal_memory_mb = 64", language=CPP, runner=TAP)
    source = '#include <bits/stdc++.h>\nint main() { std::vector<int> v(9); std::cout << "yes"; }\n'
    judged = await _judged(problem, "cpp", source, starter)
    assert judged.verdict == "passed", judged.events


@pytest.mark.thorough
async def test_rust_compiles_for_a_small_program(run: Run, tiny: MakeProblem, rustc: str) -> None:
    """rustc aborts with less than 256 MB of address space."""
    language = RUST.replace("RUSTC", rustc)
    problem = tiny(SAYS_YES, limits="memory_mb = 64\ntotal_memory_mb = 64", language=language, runner=TAP)
    judged = await run(problem, 'fn main() { print!("yes"); }\n', "rust")
    assert judged.verdict == "passed", judged.events


@pytest.mark.thorough
async def test_program_keeps_its_own_limit(tiny: MakeProblem, starter: Starter) -> None:
    """What a build may use, the program that it made may not."""
    language = SH.replace("time.sleep(20)", "time.sleep(0.3)").replace('"sh", "{source}"', '"{python}", "{source}"')
    problem = tiny(SAYS_YES, limits="memory_mb = 64\nbuild_memory_mb = 512", language=language, runner=TAP)
    source = "import time\nkept = b'x' * 200_000_000\ntime.sleep(9)\nprint('yes', end='')\n"
    judged = await _judged(problem, "sh", source, starter)
    assert judged.verdict == "failed", judged.events
    assert judged.analysis["category"] == "memory"
    assert "more than the limit of 64 MB" in judged.analysis["error"]


async def test_build_over_its_limit(tiny: MakeProblem, starter: Starter) -> None:
    """It is killed, and the limit that is named is the build's."""
    limits = "memory_mb = 512\nbuild_memory_mb = 128"
    judged = await _judged(tiny(SAYS_YES, limits=limits, language=SH, runner=TAP), "sh", "echo yes", starter)
    assert judged.verdict == "build_failed", judged.events
    assert judged.analysis["category"] == "memory"
    assert "more than the limit of 128 MB" in judged.analysis["error"]
    assert judged.analysis["analysis"].startswith("The build needed more memory than it may use.")
