"""How every process of a submission is started: its builds, its nodes, what a TAP command runs.

Three processes start solutions (the supervisor its builds, pytest's process the nodes, a TAP command through
`subcli.judge.process.launch`). A `Starter` therefore does not start anything itself. It makes `Plans`, plain
data that is handed to all three, and `spawn` carries one out. A sandbox is another `Starter`: it puts its own
words before the command (bubblewrap's, say) and leaves the rest alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from subcli.judge.problem import Language, Problem

CONFINE = Path(__file__).with_name("confine.py")
LAUNCH = Path(__file__).with_name("launch.py")
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class StartPlan:
    """What is the same for every process that a submission starts in one phase."""

    prefix: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    layers: int = 0
    """How many processes of the sandbox's own stand between the process that is started and the solution's."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def exit_code(self, code: int) -> int:
        """The exit code as `subprocess` gives it, also where a sandbox handed it on: negative for a signal."""
        number = code - 128
        return -number if self.layers and number in set(signal.Signals) else code


@dataclass(frozen=True)
class Plans:
    """How the processes of one submission are started, and what has to be done around them."""

    build: StartPlan
    run: StartPlan
    groups: tuple[str, ...] = ()
    """Control groups that the processes join, as directories; to be removed afterwards."""
    scratch: tuple[str, ...] = ()
    """Directories inside of each sandbox that are kept in memory."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Plans:
        """The plans that `as_json` made."""
        plans = {name: StartPlan(**values[name]) for name in ("build", "run")}
        return Plans(**plans, groups=tuple(values["groups"]), scratch=tuple(values["scratch"]))


class Starter(Protocol):
    """Decides under what a submission's processes run."""

    def open(self, workspace: Path, problem: Problem, language: Language) -> AbstractContextManager[Plans]:
        """The plans for a submission whose files lie in `workspace`; what they need is there until the exit.

        `workspace` has a parent directory that is the submission's own.
        """
        ...


class LocalStarter:
    """No sandbox: the judge's own user, in a session of its own, with a clean environment and resource limits.

    It keeps honest mistakes from doing harm. It does not keep a hostile solution from reading what the
    judge's user can read.
    """

    @contextmanager
    def open(self, workspace: Path, problem: Problem, language: Language) -> Iterator[Plans]:
        plan = StartPlan(
            prefix=(*confining(problem, language), "--"),
            environment=clean_environment(workspace),
            directory=str(workspace),
        )
        yield Plans(build=plan, run=plan)


def confining(problem: Problem, language: Language) -> tuple[str, ...]:
    """The words that put a process under the problem's resource limits; more options may follow, then `--`."""
    limits = problem.limits
    words = [sys.executable, "-I", "-S", str(CONFINE), f"--file-size={limits.file_size_mb * _MEGABYTE}"]
    if language.bounded_address_space:
        words.append(f"--address-space={limits.memory_mb * _MEGABYTE}")
    return tuple(words)


def clean_environment(home: Path) -> dict[str, str]:
    """For solutions: nothing of the judge's environment but where programs are found."""
    return {
        **_bare_environment(home),
        # Sets iterate alike in every run, so that the same solution meets the same fate.
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def own_environment(home: Path) -> dict[str, str]:
    """For the judge's own processes: what they need to import what this process imports."""
    entries = [entry for entry in sys.path if entry and not entry.startswith(sys.base_prefix + "/lib")]
    settings = {name: os.environ[name] for name in ("PYTHONDONTWRITEBYTECODE",) if name in os.environ}
    return {**_bare_environment(home), **settings, "PYTHONPATH": os.pathsep.join(entries)}


def start_own(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    log: int,
    stdout: int | None = None,
    pass_fds: Collection[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a process of the judge's own, leader of its session; it writes to `log`, its stdout may go elsewhere.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log if stdout is None else stdout,
        stderr=log,
        cwd=directory,
        env=environment,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    )


def _bare_environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUTF8": "1",
    }


def spawn(
    plan: StartPlan,
    command: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    pass_fds: Iterable[int] = (),
    extra_environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` under `plan`, with unbuffered pipes, in a session of its own, all other descriptors closed.

    The own session is also how the supervisor tells a solution's processes from the judge's.

    Raises:
        FileNotFoundError: the plan's own program is not there. (A missing program of the *command* is
            reported by the process itself: exit code 127, see `confine`.)
    """
    return subprocess.Popen(
        [*plan.prefix, *command],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        bufsize=0,
        cwd=plan.directory,
        env={**plan.environment, **(extra_environment or {})},
        close_fds=True,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    )
