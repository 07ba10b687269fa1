"""What a process of a solution runs under, seen by the program that is executed at last."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from subcli.judge.process.confine import FIRST_APART, NICENESS
from subcli.judge.process.starter import CONFINING

SHOW = """
import json, os, resource, sys
kinds = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in
         ("FSIZE", "AS", "NOFILE", "NPROC", "MEMLOCK", "CORE", "CPU")}
umask = os.umask(0)
print(json.dumps({"limits": kinds, "nice": os.nice(0), "scheduler": os.sched_getscheduler(0), "pid": os.getpid(),
                  "ids": [os.getresuid(), os.getresgid(), os.getgroups()], "umask": umask, "words": sys.argv[1:]}))
"""


def confined(*options: str, words: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """What a program sees that is started with these options."""
    command = [*CONFINING, *options, "--", sys.executable, "-I", "-S", "-c", SHOW, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_limits_are_hard_ones() -> None:
    """Each is what was given, and cannot be raised again; a core is never written, and nothing else is limited."""
    wanted = {"FSIZE": 1 << 20, "AS": 1 << 30, "NOFILE": 77, "NPROC": 5000, "MEMLOCK": 4096}
    names = ("file-size", "address-space", "open-files", "tasks", "locked-memory")
    options = [f"--{name}={value}" for name, value in zip(names, wanted.values(), strict=True)]
    limits = confined(*options)["limits"]
    assert {name: limits[name] for name in wanted} == {name: [value, value] for name, value in wanted.items()}
    assert limits["CORE"] == [0, 0]
    assert tuple(limits["CPU"]) == resource.getrlimit(resource.RLIMIT_CPU)
    assert tuple(confined()["limits"]["FSIZE"]) == resource.getrlimit(resource.RLIMIT_FSIZE)


def test_limit_beyond_the_present_one() -> None:
    """Nobody may raise it, so it stays."""
    lowered = confined("--open-files=900", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    assert lowered["limits"]["NOFILE"] == [64, 64]


def test_judge_and_server_come_first() -> None:
    """A solution gets less of a busy processor, and preempts nobody."""
    seen = confined()
    assert seen["nice"] == min(os.nice(0) + NICENESS, 19)
    assert seen["scheduler"] == os.SCHED_BATCH


def test_signals_are_as_programs_expect_them() -> None:
    """A program that writes to a pipe that nobody reads, or too large a file, ends; Python itself ignores both."""
    command = [*CONFINING, "--", "grep", "SigIgn", "/proc/self/status"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ignored = int(done.stdout.split()[1], 16)
    assert not [number for number in (signal.SIGPIPE, signal.SIGXFSZ) if ignored >> number - 1 & 1]


def test_group_is_joined(tmp_path: Path) -> None:
    """Of each hierarchy, before anything else."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    confined(*(f"--group={tmp_path / name}" for name in ("one", "two")))
    assert [(tmp_path / name / "cgroup.procs").read_text() for name in ("one", "two")] == ["0", "0"]


def test_filter_is_opened_for_the_program(tmp_path: Path) -> None:
    """Its descriptor stands in the arguments: the program itself may not be able to open the file."""
    (tmp_path / "filter").write_bytes(b"filter")
    command = [*CONFINING, f"--filter={tmp_path / 'filter'}", "--", "sh", "-c", 'cat <&"$1"; echo "$2"', "sh"]
    done = subprocess.run([*command, "{filter}", "filter"], capture_output=True, check=True)
    assert done.stdout == b"filterfilter\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(("option", "group"), [("--user=4321", 4321), ("--apart=4322", 4322)])
def test_user_is_changed_for_good(option: str, group: int) -> None:
    """To one user and group, without others; a process set apart has a user of its own."""
    seen = confined(option)
    user = 4321 if option.startswith("--user") else FIRST_APART + seen["pid"]
    assert seen["ids"] == [[user] * 3, [group] * 3, []]
    assert seen["umask"] == 0o027


def test_program_keeps_its_own_options() -> None:
    """Whatever stands behind the first `--`."""
    assert confined("--open-files=99", words=("--open-files=1", "--", "x"))["words"] == ["--open-files=1", "--", "x"]
