"""Starting pytest for a problem's tests: without any configuration but its own, reporting over a socket.

It comes up while the supervisor imports what it needs itself, and while a solution is built; so nothing of asyncio or
of the problem is imported here. Which solution it is to test, it is told later.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from subcli.judge.process.starter import own_environment, start_own

REPORT_VARIABLE = "SUBCLI_REPORT_FD"
HIDDEN = b" "
"""What it says first, for itself: nobody can look into it any more. White space, to who reads JSON."""
_COMING_UP_SECONDS = 10.0
_INI = "[pytest]\naddopts =\nxfail_strict = true\nfilterwarnings = default\n"


@dataclass(frozen=True)
class PytestProcess:
    """pytest, waiting for its instructions."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    log: tuple[int, int]
    """The pipe that it writes stdout and stderr to: the ends for reading and for writing."""

    async def come_up(self) -> None:
        """Wait until it is out of reach of other processes of its user, as a build's; not for one that never is."""
        import asyncio

        self.channel.setblocking(False)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_COMING_UP_SECONDS):
                await asyncio.get_running_loop().sock_recv(self.channel, len(HIDDEN))


def start_pytest(tests: Path, scratch: Path) -> PytestProcess:
    """Start it on the directory `tests`; `scratch` is the judge's own.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    log = os.pipe()
    with theirs:
        process = start_own(
            _command(tests, scratch),
            directory=scratch,
            environment={
                **own_environment(scratch),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                REPORT_VARIABLE: str(theirs.fileno()),
            },
            log=log[1],
            pass_fds=(theirs.fileno(),),
        )
    return PytestProcess(process, ours, log)


def _command(tests: Path, scratch: Path) -> list[str]:
    """The command for the tests in `tests`, with an empty configuration written to `scratch`."""
    ini = scratch / "pytest.ini"
    ini.write_text(_INI, encoding="utf-8")
    return [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-p",
        "subcli.judge.supervise.plugin",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:junitxml",
        "-c",
        str(ini),
        f"--rootdir={tests}",
        f"--confcutdir={tests}",
        f"--basetemp={scratch / 'pytest'}",
        "--quiet",
        "--tb=short",
        "--color=no",
        str(tests),
    ]
