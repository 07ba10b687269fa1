"""Starting pytest for a problem's tests, with a configuration of its own and a socket to report over.

Python and pytest take longest to start, so this happens first: pytest starts while the supervisor imports the rest and
while the solution is built. That is why this module imports neither asyncio nor anything of the problem, and why it
stands apart from `pytest_runner`. Which solution to test is sent later.
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
"""Tells pytest's process the descriptor of its socket."""
READY = b" "
"""What pytest's process sends first: no other process can read its memory from now on. JSON readers skip a space."""
ENTERED = b" "
"""What it is sent first, with descriptors of the namespaces that the solution's processes enter."""
MOST_NAMESPACES = 2
_START_TIMEOUT_S = 10.0
_INI = "[pytest]\naddopts =\nxfail_strict = true\nfilterwarnings = default\n"


@dataclass(frozen=True)
class PytestProcess:
    """pytest, started and waiting for its instructions."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    log: tuple[int, int]
    """The pipe that it writes stdout and stderr to: read end, write end."""

    async def wait_until_ready(self) -> None:
        """Wait until other processes of the same user, such as a build, cannot look into it.

        Gives up after ten seconds, or when it ends: the run of the tests will then report the reason.
        """
        import asyncio

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
    """The command line. Writes an empty configuration to `scratch`, so that no other is looked for."""
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
