"""How every process of a submission is started: builds, nodes, and what a TAP command runs.

Three processes start solutions: the supervisor (builds), pytest's process (nodes) and a TAP command (through
`subcli.judge.process.launch`). A `Starter` therefore starts nothing itself. It makes `Plans`, plain data that all three
receive, and `spawn` carries out. A sandbox is another `Starter`: it puts its own arguments before the command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from subcli.judge.process import confine, mounts

if TYPE_CHECKING:
    from subcli.judge.languages.language import Language
    from subcli.judge.problem import Problem, ResourceLimits

_PASSED_ON = ("PYTHONDONTWRITEBYTECODE", "COVERAGE_PROCESS_CONFIG")
"""What the judge's own processes keep of its environment besides PATH. The second measures them where we are measured;
see docs/testing.md."""
CONFINE = Path(__file__).with_name("confine.py")
LAUNCH = Path(__file__).with_name("launch.py")
SERVE = Path(__file__).with_name("serve.py")
HOST = Path(__file__).with_name("host.py")
GRADE = Path(__file__).with_name("grade.py")
CONFINING = (sys.executable, "-I", "-S", str(CONFINE))
"""The start of a prefix that confines. Who can do it without an interpreter skips these words."""
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class StartPlan:
    """How to start the processes of one phase, build or run."""

    prefix: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    layers: int = 0
    """How many processes of the sandbox come between the process that is started and the solution's."""
    mounts: tuple[str, ...] = ()
    """What makes the tree of mounts that all of them share, see `process/mounts.py`; empty if there is none."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def exit_code(self, code: int) -> int:
        """The exit code as `subprocess` reports it: negative for a signal, which a sandbox passes on as 128 + N."""
        number = code - 128
        return -number if self.layers and number in set(signal.Signals) else code


@dataclass(frozen=True)
class Plans:
    """How the processes of one submission are started, and what to watch and remove."""

    build: StartPlan
    run: StartPlan
    groups: tuple[str, ...] = ()
    """Directories of the control groups that the processes join. They are removed at the end."""
    scratch: tuple[str, ...] = ()
    """Directories in each sandbox whose files are kept in memory."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Plans:
        """The plans that `as_json` made."""
        plans = {name: StartPlan(**values[name]) for name in ("build", "run")}
        return Plans(**plans, groups=tuple(values["groups"]), scratch=tuple(values["scratch"]))


class Starter(Protocol):
    """Decides what a submission's processes run under."""

    def open(self, workspace: Path, problem: Problem, language: Language) -> AbstractContextManager[Plans]:
        """Prepare the plans for a submission. What they need exists until the context ends.

        Args:
            workspace: The directory of its files. The parent directory belongs to the submission as well.
            problem: Its limits apply.
            language: The language of the submission.
        """
        ...


class LocalStarter:
    """No sandbox: solutions run as the judge's user, with a clean environment and resource limits.

    This contains honest mistakes. It does not stop a hostile solution from reading what the judge's user can read.
    """

    @contextmanager
    def open(self, workspace: Path, problem: Problem, language: Language) -> Iterator[Plans]:
        # Not the workspace: Go ignores a module in the directory of temporary files.
        temporary = workspace.parent / "tmp"
        temporary.mkdir(exist_ok=True)

        def plan(limits: ResourceLimits, *, is_hosted: bool) -> StartPlan:
            return StartPlan(
                prefix=(*confining(limits, language, is_hosted=is_hosted), "--"),
                environment={**clean_environment(workspace), "TMPDIR": str(temporary)},
                directory=str(workspace),
            )

        build = plan(problem.limits.for_build(), is_hosted=False)
        yield Plans(build, plan(problem.limits, is_hosted=problem.is_hosted))


def confining(limits: ResourceLimits, language: Language, *, is_hosted: bool) -> tuple[str, ...]:
    """The start of a command line that applies these resource limits. More options may follow, then `--`.

    Args:
        limits: The limits.
        language: The language of the solution.
        is_hosted: Whether it starts the host of a sandbox, which bounds the memory of each program itself.
    """
    words = [*CONFINING, f"--file-size={limits.file_size_mb * _MEGABYTE}"]
    if language.bounded_address_space and not is_hosted:
        words.append(f"--address-space={limits.memory_mb * _MEGABYTE}")
    return tuple(words)


def clean_environment(home: Path) -> dict[str, str]:
    """The environment of a solution: of the judge's own it keeps PATH, and where rustup has its toolchains."""
    return {
        **_bare_environment(home),
        **_rustup(),
        # Sets iterate in the same order in every run, so that results are reproducible.
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@cache
def _rustup() -> Mapping[str, str]:
    """rustup looks for its toolchains in the home directory, and solutions have another one."""
    place = os.environ.get("RUSTUP_HOME") or os.path.expanduser("~/.rustup")
    return {"RUSTUP_HOME": place} if os.path.isdir(place) else {}


def own_environment(home: Path) -> dict[str, str]:
    """The environment of the judge's own processes: they import from where this process imports."""
    entries = [entry for entry in sys.path if entry and not entry.startswith(sys.base_prefix + "/lib")]
    settings = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
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
    """Start a process of the judge's own in a new session. stderr goes to `log`, and stdout unless it is given.

    Raises:
        OSError: It cannot be started.
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
    """Start `command` under `plan`, with unbuffered pipes, in a new session, with all other descriptors closed.

    The supervisor tells a solution's processes from the judge's by their session. A process with one thread confines
    its own child, which saves starting an interpreter for that; in one with more, a fork may not run Python.

    Raises:
        FileNotFoundError: The plan's own program does not exist. (If the *command*'s program does not exist, the
            process exits with code 127; see `confine`.)
        OSError: It cannot be started.
    """
    entered = mounts.descriptors(plan.mounts)
    words = [*confine.entering([*plan.prefix], [*entered]), *command]
    environment = {**plan.environment, **(extra_environment or {})}
    passed = (*pass_fds, *entered)
    confined = None
    if tuple(words[: len(CONFINING)]) == CONFINING and threading.active_count() == 1:
        confined = partial(_confine, words[len(CONFINING) :], environment, passed)
    return subprocess.Popen(
        words,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        bufsize=0,
        cwd=plan.directory,
        env=environment,
        close_fds=True,
        pass_fds=passed,
        start_new_session=True,
        preexec_fn=confined,
    )


def _confine(words: list[str], environment: dict[str, str], passed: Collection[int]) -> None:
    """Do in this process, a fork of ours, what `confine` does in one of its own. Does not return."""
    code = 1
    try:
        confine.close_others([*passed])
        confine.main(words, environment)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)
