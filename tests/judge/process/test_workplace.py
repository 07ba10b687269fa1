"""The directories of judges: removed when nobody lives in them, and nothing else ever is."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from subcli.judge.process.processes import descendants
from subcli.judge.process.workplace import remove_leftovers, workplace
from tests.hang import HANG_S

JUDGE = """
import asyncio
from dataclasses import replace
from subcli.judge import Job, judge
from subcli.judge.trial import self_test

async def main():
    job = self_test()
    async for event in judge(replace(job, files={"node.py": "import time; time.sleep(60)"})):
        print(event, flush=True)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory of this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind() -> Path:
    """What a killed judge leaves: its files and its marker, with no lock."""
    with workplace() as place:
        (place.path / "work").mkdir()
        (place.path / "work" / "solution.py").write_text("1")
        kept = place.path.with_name("kept")
        shutil.copytree(place.path, kept)
    kept.rename(place.path)
    return place.path


def test_a_directory_is_removed_with_everything_in_it(temporary: Path) -> None:
    """Also if judging in it fails."""

    def fail() -> None:
        with workplace() as place:
            (place.path / "work").mkdir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(temporary.iterdir()) == []


def test_leftovers_are_removed(temporary: Path) -> None:
    """All of them, and they are counted."""
    for _ in range(3):
        left_behind()
    assert remove_leftovers() == 3
    assert list(temporary.iterdir()) == []
    assert remove_leftovers() == 0


def test_where_somebody_lives_nothing_is_removed() -> None:
    """The judge itself, or a process that has inherited its lock."""
    with workplace() as place:
        assert remove_leftovers() == 0
        inherited = os.dup(place.lock)
        left = place.path.with_name("left")
        shutil.copytree(place.path, left)
        (left / "marker").unlink()
        os.link(place.path / "marker", left / "marker")
    left.rename(place.path)
    try:
        assert remove_leftovers() == 0
        assert place.path.exists()
    finally:
        os.close(inherited)
    assert remove_leftovers() == 1


def no_marker(base: Path) -> None:
    (base / "marker").unlink()


def empty_marker(base: Path) -> None:
    (base / "marker").write_text("")


def marker_of_another_machine(base: Path) -> None:
    (base / "marker").write_text((base / "marker").read_text().replace(platform.node(), "another"))


def marker_is_a_link(base: Path) -> None:
    (base / "marker").rename(base / "real")
    (base / "marker").symlink_to("real")


def marker_has_two_names(base: Path) -> None:
    os.link(base / "marker", base / "other")


def marker_is_a_pipe(base: Path) -> None:
    (base / "marker").unlink()
    os.mkfifo(base / "marker")


def marker_is_a_directory(base: Path) -> None:
    (base / "marker").unlink()
    (base / "marker").mkdir()


def another_name(base: Path) -> None:
    base.rename(base.with_name("subcli-judge-precious-data"))


def a_copy(base: Path) -> None:
    base.rename(base.with_name("subcli-judge-abcdefgh"))


def a_link(base: Path) -> None:
    base.rename(base.with_name("elsewhere"))
    base.symlink_to("elsewhere")


def open_to_all(base: Path) -> None:
    base.parent.chmod(0o777)


@pytest.mark.parametrize(
    "change",
    [
        no_marker,
        empty_marker,
        marker_of_another_machine,
        marker_is_a_link,
        marker_has_two_names,
        marker_is_a_pipe,
        marker_is_a_directory,
        another_name,
        a_copy,
        a_link,
        open_to_all,
    ],
)
def test_what_is_not_beyond_doubt_a_leftover_stays(change: Callable[[Path], None], temporary: Path) -> None:
    """Something about it differs from what a judge leaves."""
    change(left_behind())
    assert remove_leftovers() == 0
    assert [path.read_text() for path in temporary.rglob("solution.py")] == ["1"]


def test_what_belongs_to_another_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if its files could be removed."""
    base = left_behind()
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert remove_leftovers() == 0
    assert base.exists()


def test_links_in_a_leftover_are_not_followed(temporary: Path) -> None:
    """What they lead to stays."""
    base = left_behind()
    precious = temporary / "precious"
    precious.mkdir()
    (precious / "file").write_text("1")
    (base / "work" / "link").symlink_to(precious)
    (base / "link").symlink_to(precious)
    assert remove_leftovers() == 1
    assert (precious / "file").exists()


def test_a_file_system_without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging works there; what is left is never taken for a leftover."""

    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(38, "Function not implemented")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        with workplace() as place:
            assert list(place.path.iterdir()) == []
            kept = place.path.with_name("kept")
            shutil.copytree(place.path, kept)
    kept.rename(place.path)
    assert remove_leftovers() == 0


def test_a_directory_that_cannot_be_read(temporary: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the server starts."""
    assert remove_leftovers(temporary / "gone") == 0
    assert caplog.messages == [
        f"leftovers of earlier runs cannot be looked for in {temporary / 'gone'}: No such file or directory"
    ]


def test_a_directory_is_its_users_alone(temporary: Path) -> None:
    """With a name that says what it is for, and a marker that nobody else can read or lock."""
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    with workplace() as judge, workplace("problems", elsewhere) as problems:
        assert re.fullmatch(r"subcli-judge-\w{8}", judge.path.name)
        assert re.fullmatch(r"subcli-problems-\w{8}", problems.path.name)
        assert (judge.path.parent, problems.path.parent) == (temporary, elsewhere)
        marker = judge.path / "marker"
        assert stat.S_IMODE(judge.path.stat().st_mode) == 0o700
        assert stat.S_IMODE(marker.stat().st_mode) == 0o600
        assert marker.read_text() == f"subcli judge 1\n{judge.path}\n{platform.node()}\n"
        with open(marker) as another, pytest.raises(BlockingIOError):
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not os.get_inheritable(judge.lock)
        assert remove_leftovers(elsewhere) == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(judge.lock)


def test_what_a_killed_process_was_removing_is_still_marked(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marker goes last, so that the next start finds the rest."""
    base = left_behind()
    monkeypatch.setattr("subcli.judge.process.workplace.remove_tree", _killed_after_one)
    with pytest.raises(KeyboardInterrupt):
        remove_leftovers()
    monkeypatch.undo()
    assert [path.name for path in base.iterdir()] == ["marker"]
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert remove_leftovers() == 1


def _killed_after_one(directory: Path) -> None:
    shutil.rmtree(directory)
    raise KeyboardInterrupt


def test_a_directory_that_others_may_rename_in(temporary: Path) -> None:
    """Group or others: only where the sticky bit keeps them from it."""
    left_behind()
    for mode in (0o777, 0o770, 0o702):
        temporary.chmod(mode)
        assert remove_leftovers() == 0
    temporary.chmod(0o1777)
    assert remove_leftovers() == 1


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


def test_after_a_kill_of_judge_and_supervisor(temporary: Path) -> None:
    """While either lives nothing is removed; when both are dead, the next start removes what they left."""
    command = [sys.executable, "-c", JUDGE]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as judge:
        assert judge.stdout is not None
        while "testing" not in (line := judge.stdout.readline()):
            assert line
        [base] = temporary.glob("subcli-judge-*")
        assert remove_leftovers() == 0
        living = descendants(judge.pid)
        [template] = [each.pid for each in living if each.parent == judge.pid]
        [supervisor] = [each.pid for each in living if each.parent == template]
        # Stopped first: it would see the judge's end and remove the directory itself.
        os.kill(supervisor, signal.SIGSTOP)
        judge.kill()
        judge.wait()
        assert remove_leftovers() == 0
        assert base.exists()
        for process in living:
            os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: remove_leftovers() == 1)
    assert list(temporary.glob("subcli-judge-*")) == []
