"""Finds out what works on this machine by running a real sandbox."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from subcli.judge.languages.language import Language
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.process.processes import process_below
from subcli.judge.process.starter import spawn
from subcli.judge.process.workplace import workplace
from subcli.judge.sandbox.bubblewrap import BubblewrapStarter
from subcli.judge.sandbox.groups import Groups, find_groups
from subcli.judge.sandbox.syscalls import FilterError, compiled

_TIMEOUT_S: Final = 20.0
_NAMESPACES: Final = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
_REQUIRED: Final = frozenset(("user", "pid", "mnt", "net", "ipc"))
_SCRIPT: Final = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "namespaces": {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")},
    "seccomp": status["Seccomp"].strip(),
    "capabilities": status["CapEff"].strip(),
    "sees": os.path.exists(CANARY),
    "writes": os.access("submission", os.W_OK),
}), flush=True)
input()
"""


@dataclass(frozen=True)
class ProbeResult:
    """One property of the sandbox, and whether it holds."""

    holds: bool
    text: str


@dataclass(frozen=True)
class Probe:
    """The outcome. `starter` is None if no sandbox works here, and `reason` says why."""

    starter: BubblewrapStarter | None
    findings: tuple[ProbeResult, ...] = ()
    reason: str = ""


def probe(*, cpus: float, hidden: tuple[Path, ...] = (), readable: tuple[Path, ...] = ()) -> Probe:
    """Run a program in a sandbox and check what it sees.

    Args:
        cpus: Processors for each submission.
        hidden: Directories that no solution may see.
        readable: Files and directories that solutions may read as well.
    """
    program = shutil.which("bwrap")
    if program is None:
        return Probe(None, reason="bubblewrap (`bwrap`) is not installed")
    try:
        filtered, rules = bool(compiled()), "system calls filtered"
    except FilterError as error:
        filtered, rules = False, f"system calls not filtered: {error}"
    groups = find_groups()
    starter = BubblewrapStarter(program, filtered, groups, cpus, hidden, readable)
    # Root without CAP_SYS_ADMIN, as in a container, cannot make the mounts that are shared.
    for each in (starter, replace(starter, shares_mounts=False)):
        seen, reason = _tried(each)
        if not reason:
            break
    else:
        return Probe(None, reason=reason)
    separate = ", ".join(_separate(seen))
    return Probe(
        each,
        (
            ProbeResult(True, f"{_version(program)}: separate {separate} namespaces; no network, files read-only"),
            ProbeResult(filtered, rules),
            _groups(groups, cpus),
            _user(seen["user"]),
        ),
    )


def _tried(starter: BubblewrapStarter) -> tuple[Mapping[str, Any], str]:
    """What a process in the sandbox reports; and why the sandbox does not work, if it does not."""
    try:
        seen = _run(starter)
    except OSError as error:
        return {}, error.strerror or str(error)
    except ValueError as error:
        return {}, str(error)
    return seen, _broken(seen, _separate(seen), filtered=starter.filtered)


def _separate(seen: Mapping[str, Any]) -> list[str]:
    # A server that hides its environment may not list this directory.
    there = {name: seen["namespaces"][name] for name in _NAMESPACES if name in seen["namespaces"]}
    return [name for name, link in there.items() if link != os.readlink(f"/proc/self/ns/{name}")]


def _run(starter: BubblewrapStarter) -> Mapping[str, Any]:
    """What a process in the sandbox reports.

    Raises:
        OSError: It cannot be started.
        ValueError: It did not report; says what it or bubblewrap printed instead.
    """
    with workplace() as place:
        base = place.path
        workspace = base / "work"
        workspace.mkdir()
        (base / "canary").write_text("")
        (workspace / "submission").write_text("")
        language = Language(name="python", source="submission", run=("{python}", "-I", "-S", "-c", "{source}"))
        problem = Problem(1, "probe", "Probe", "", {"python": language}, ResourceLimits(), base)
        command = language.expand(language.run, {}, _SCRIPT.replace("CANARY", repr(str(base / "canary"))))
        with (
            starter.open(workspace, problem, language) as plans,
            spawn(plans.run, command, stdin=subprocess.PIPE) as process,
        ):
            return _report(process, plans.run.layers)


def _report(process: subprocess.Popen[bytes], layers: int) -> Mapping[str, Any]:
    """What the process reports, and the user it runs as, seen from outside."""
    assert process.stdout is not None
    user = None
    ready, _, _ = select.select([process.stdout], [], [], _TIMEOUT_S)
    line = os.read(process.stdout.fileno(), 65_536) if ready else b""
    inner = process_below(process.pid, layers) if line else None
    if inner is not None:
        user = os.stat(f"/proc/{inner}").st_uid
    try:
        _, errors = process.communicate(b"\n", timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise ValueError(f"it did not end within {_TIMEOUT_S:g} s") from None
    try:
        return {**json.loads(line), "user": user}
    except ValueError:
        said = errors.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(said[-1] if said else f"it exited with code {process.returncode}") from None


def _broken(seen: Mapping[str, Any], separate: list[str], *, filtered: bool) -> str:
    """The first required property that does not hold; empty if all hold."""
    missing = _REQUIRED - set(separate)
    if missing:
        return f"no separate {', '.join(sorted(missing))} namespace"
    if seen["sees"] or seen["writes"]:
        return "a solution can see or change files that it must not"
    if int(seen["capabilities"], 16):
        return "a solution keeps capabilities"
    if seen["user"] is None or (os.geteuid() == 0 and seen["user"] == 0):
        return "a solution would run as root"
    if filtered and seen["seccomp"] != "2":
        return "the system call filter is not active"
    return ""


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"[\d.]+", said)
    return f"bubblewrap {found[0]}" if found else "bubblewrap"


def _groups(groups: Groups, cpus: float) -> ProbeResult:
    held = groups.controllers
    if not held:
        return ProbeResult(False, "no usable control groups: memory and processes are only checked 20 times a second")
    share = f", {cpus:g} processors each" if "cpu" in held else ""
    return ProbeResult(True, f"control groups {groups.version}: {', '.join(held)}{share}")


def _user(user: int) -> ProbeResult:
    if os.geteuid() == 0:
        return ProbeResult(True, f"each submission runs as a separate user, such as {user}")
    return ProbeResult(True, f"solutions run as this user, {user}, without access to its files and processes")
