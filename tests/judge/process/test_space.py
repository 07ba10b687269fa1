"""A full disk is the judge's fault."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from subcli.judge.problem import ResourceLimits
from subcli.judge.process.shortage import is_shortage
from subcli.judge.process.space import Space, SpaceWatch
from tests.hang import HANG_S

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
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG_S)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_build_without_space_is_the_judges_fault(tmp_path: Path) -> None:
    """The compiler's words are true, but not about the submission."""
    events = on_a_small_disk(60_000, tmp_path, JUDGE, "passing.c")
    assert [event.get("status") for event in events[:-2]] == ["building", "failed"]
    assert "disk was full during the build" in str(events[-2]["error"])
    assert events[-2]["category"] == "judge_error"
    assert events[-1]["final_status"] == "error"


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_compile_error_on_a_small_disk_is_the_submissions(tmp_path: Path) -> None:
    """Little space alone excuses nothing."""
    events = on_a_small_disk(400_000, tmp_path, JUDGE, "broken.c")
    assert events[-1]["final_status"] == "build_failed"


@pytest.mark.thorough
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


@pytest.mark.parametrize(
    ("space", "more_mb", "lack"),
    [
        (Space(64, 1000), 0, ""),
        (Space(63.4, 1000), 0, "63 MB are free, and 64 MB are needed"),
        (Space(80, 1000), 16, ""),
        (Space(79, 1000), 16, "79 MB are free, and 80 MB are needed"),
        (Space(64, 999), 0, "there is room for 999 files, and 1000 are needed"),
        (Space(3, 3), 0, "3 MB are free, and 64 MB are needed"),
    ],
)
def test_what_is_lacking_is_said(space: Space, more_mb: int, lack: str) -> None:
    """In a sentence for the operator; exactly enough is enough."""
    assert space.lacks(LIMITS, more_mb) == lack


@pytest.mark.parametrize(("space", "exhausted"), [(Space(1, 16), False), (Space(0.9, 16), True), (Space(1, 15), True)])
def test_when_there_is_practically_nothing_left(
    space: Space, exhausted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At any moment of a look; it does not matter what was freed again."""
    watch = SpaceWatch(tmp_path, LIMITS)
    for now in (Space(50, 500), space, Space(50, 500)):
        monkeypatch.setattr(Space, "in_directory", staticmethod(lambda _directory, now=now: now))
        watch.look()
    assert watch.was_exhausted is exhausted
    assert watch.explains("No space left on device") == space.lacks(LIMITS)


@pytest.mark.parametrize(("files", "left"), [(1000, 20.0), (0, math.inf)])
def test_space_is_what_an_ordinary_user_may_still_take(
    files: int, left: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not what is kept for root; some file systems do not limit how many files there are."""
    of_root = {"f_bfree": 999, "f_bsize": 7, "f_ffree": 99}
    told = SimpleNamespace(f_bavail=300, f_frsize=512 * 1024, f_files=files, f_favail=20, **of_root)
    monkeypatch.setattr(os, "statvfs", lambda _path: told)
    assert Space.in_directory(tmp_path) == Space(150.0, left)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (OSError(errno.EMFILE, ""), True),
        (OSError(errno.ENFILE, ""), True),
        (BlockingIOError(errno.EAGAIN, ""), True),
        (OSError(errno.ENOBUFS, ""), True),
        (OSError(errno.ENOMEM, ""), True),
        (OSError(errno.ENOSPC, ""), False),
        (FileNotFoundError(errno.ENOENT, ""), False),
        (OSError(), False),
        (ValueError(errno.EMFILE), False),
    ],
)
def test_shortage_of_something_other_than_space(error: BaseException, is_one: bool) -> None:
    """Descriptors, memory or processes: the judging does not count as a try."""
    assert is_shortage(error) is is_one
