"""pytest for a problem's tests: a fork of the supervisor, with a configuration of its own and a socket to report over.

    template  --fork-->  supervisor  --fork-->  pytest

Python and pytest take longest to start. The template (`template.py`) has imported both, so that no submission waits for
them, and each gets a copy of its own. It is forked before the supervisor does anything else: that has one thread then,
and pytest loads the tests while the solution is built. Which solution to test is sent later.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import runpy
import socket
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from subcli.judge.process.confine import close_others
from subcli.judge.process.processes import die_with_parent
from subcli.judge.process.starter import own_environment
from subcli.judge.supervise.child import Fork

REPORT_VARIABLE = "SUBCLI_REPORT_FD"
"""Tells pytest's process the descriptor of its socket."""
READY = b" "
"""What pytest's process sends first: no other process can read its memory from now on. JSON readers skip a space."""
ENTERED = b" "
"""What it is sent first, with descriptors of the namespaces that the solution's processes enter."""
MOST_NAMESPACES = 2
PRELOADED = frozenset(
    (
        *("asyncio", "concurrent", "contextvars", "graphlib", "msgspec", "pyexpat", "ssl", "termios"),
        *("typing_extensions", "xml"),
    )
)
"""What a fork has imported that pytest would not. A solution's module of such a name comes first all the same."""
_START_TIMEOUT_S = 10.0
_WITHOUT = ("cacheprovider", "junitxml")
_INI = "[pytest]\naddopts =\nxfail_strict = true\nfilterwarnings = default\n"


@dataclass(frozen=True)
class PytestProcess:
    """pytest, started and waiting for its instructions."""

    process: Fork
    channel: socket.socket
    log: tuple[int, int]
    """The pipe that it writes stdout and stderr to: read end, write end."""

    async def wait_until_ready(self) -> None:
        """Wait until other processes of the same user, such as a build, cannot look into it.

        Gives up after ten seconds, or when it ends: the run of the tests will then report the reason.
        """
        self.channel.setblocking(False)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_START_TIMEOUT_S):
                await asyncio.get_running_loop().sock_recv(self.channel, len(READY))


def start_pytest(tests: Path, scratch: Path) -> PytestProcess:
    """Start pytest.

    Args:
        tests: The directory of the problem's tests.
        scratch: A directory of the judge's own.

    Raises:
        OSError: It cannot be started.
    """
    ours, theirs = socket.socketpair()
    log = os.pipe()
    with theirs:
        own = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", REPORT_VARIABLE: str(theirs.fileno())}
        environment = {**own_environment(scratch), **own}
        arguments = _arguments(tests, scratch)
        pid = os.fork()
        if pid == 0:
            sys.argv = ["pytest", *arguments]
            _become_pytest(scratch, environment, theirs.fileno(), log[1])
    return PytestProcess(Fork(pid), ours, log)


def _become_pytest(directory: Path, environment: Mapping[str, str], channel: int, log: int) -> None:
    """Turn this process, a fork of the supervisor, into pytest. Does not return."""
    code: object = 1
    try:
        # Whoever kills the supervisor means all of it, and no longer finds this process by its environment.
        die_with_parent()
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        close_others([channel])
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(directory)
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            # What tests have registered. Finalizing the rest of the interpreter has nothing left to do.
            atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else code is not None)


def preload() -> None:
    """Import what pytest needs, once for all that are forked from here, but for the plugin, which it rewrites."""
    import _pytest.config
    import pytest  # noqa: F401

    import subcli.judge.harness
    import subcli.judge.harness.module_process  # noqa: F401

    for name in _pytest.config.default_plugins:
        if name not in _WITHOUT:
            import_module(f"_pytest.{name}")


def _arguments(tests: Path, scratch: Path) -> list[str]:
    """The words of the command line. Writes an empty configuration to `scratch`, so that no other is looked for."""
    ini = scratch / "pytest.ini"
    ini.write_text(_INI, encoding="utf-8")
    return [
        *("-p", "subcli.judge.supervise.plugin"),
        *(word for name in _WITHOUT for word in ("-p", f"no:{name}")),
        *("-c", str(ini)),
        f"--rootdir={tests}",
        f"--confcutdir={tests}",
        f"--basetemp={scratch / 'pytest'}",
        "--quiet",
        "--tb=short",
        "--color=no",
        str(tests),
    ]
