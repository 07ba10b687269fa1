"""A full disk is the judge's fault."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from subcli.judge.problem import ResourceLimits
from subcli.judge.process.space import Space, SpaceWatch

LIMITS = ResourceLimits(disk_mb=64, files=1000)
LD = "/usr/bin/ld: final link failed: No space left on device"
JUDGE = """
import asyncio, json, sys
from subcli.judge import Job, judge, load_problems

async def main():
    problem = load_problems()["lru-cache"]
    files = {"lru.c": (problem.root / "solutions" / sys.argv[1]).read_text()}
    async for event in judge(Job(problem, "c", files)):
        print(json.dumps(event))

asyncio.run(main())
"""
WRITER = """
import asyncio, json, sys
from dataclasses import replace
from subcli.judge import Job, judge
from subcli.judge.trial import self_test

async def main():
    job = self_test()
    text = "open('much', 'wb').write(bytes(1_500_000))\\n" + job.files["node.py"]
    async for event in judge(replace(job, files={"node.py": text})):
        print(json.dumps(event))

asyncio.run(main())
"""


def on_a_small_disk(size: int, directory: Path, script: str, *words: str) -> list[dict[str, object]]:
    """The events of a judge whose temporary directory has so many bytes, as a file system of its own."""
    mounted = ["bwrap", "--dev-bind", "/", "/", "--size", str(size), "--tmpfs", str(directory)]
    if shutil.which("bwrap") is None or subprocess.run([*mounted, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a bubblewrap that works")
    command = [*mounted, "--setenv", "TMPDIR", str(directory), sys.executable, "-c", script, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_build_without_space_is_the_judges_fault(tmp_path: Path) -> None:
    """The compiler's words are true, but not about the submission."""
    events = on_a_small_disk(60_000, tmp_path, JUDGE, "passing.c")
    assert [event.get("status") for event in events[:-2]] == ["building", "failed"]
    assert "disk was full during the build" in str(events[-2]["error"])
    assert events[-2]["category"] == "judge_error"
    assert events[-1]["final_status"] == "error"


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_compile_error_on_a_small_disk_is_the_submissions(tmp_path: Path) -> None:
    """Little space alone excuses nothing."""
    events = on_a_small_disk(400_000, tmp_path, JUDGE, "broken.c")
    assert events[-1]["final_status"] == "build_failed"


def test_tests_without_space_are_the_judges_fault(tmp_path: Path) -> None:
    """Without a sandbox a solution writes to the judge's disk."""
    events = on_a_small_disk(1_400_000, tmp_path, WRITER)
    assert "disk was full during the tests" in str(events[-3]["error"])
    assert events[-1]["final_status"] == "error"


@pytest.mark.parametrize(
    ("space", "log", "is_ours"),
    [
        (Space(3, 5000), LD, True),
        (Space(3, 5000), "lru.c:3:1: error: expected ';'", False),
        (Space(80, 5000), LD, False),
        (Space(80, 3), "ENOSPC: write", True),
        (Space(3, 5000), "write /tmp/go-build: no space left on device", True),
        (Space(3, 5000), "OSError: [Errno 122] Disk quota exceeded", True),
    ],
)
def test_words_and_measure_must_agree(
    space: Space, log: str, is_ours: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A submission can print any words, and fill what it was given."""
    watch = SpaceWatch(tmp_path, LIMITS)
    monkeypatch.setattr(Space, "in_directory", staticmethod(lambda _directory: space))
    watch.look()
    monkeypatch.setattr(Space, "in_directory", staticmethod(lambda _directory: Space(1000, 1_000_000)))
    watch.look()
    assert bool(watch.explains(log)) is is_ours


def test_the_space_of_a_directory(tmp_path: Path) -> None:
    """As the system measures it; a directory that is gone changes nothing."""
    usage = shutil.disk_usage(tmp_path)
    assert 0 <= Space.in_directory(tmp_path).mb <= usage.total / 1024**2
    watch = SpaceWatch(tmp_path / "gone", LIMITS)
    watch.look()
    assert not watch.was_exhausted
