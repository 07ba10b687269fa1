"""``subcli demo``: from a bundled solution to its verdict, on this machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Final

import msgspec
import typer

from subcli.cli import exits
from subcli.cli.common import Common, command
from subcli.cli.streams import Streams
from subcli.cli.watching.options import Logs, Options, Plain
from subcli.client.background import start_daemon_thread
from subcli.core.errors import InternalError

PROBLEM: Final = "leader-election"
START_S: Final = 30.0
STOP_S: Final = 10.0
_RESUME: Final = "The server stops with this command; `subcli serve` starts one that keeps running."
_SHOWS_WHY: Final = "`subcli serve` shows why."


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "demo", codes=exits.WATCHING, example="subcli demo --failing")
    def demo(
        common: Common,
        streams: Streams,
        failing: Annotated[bool, typer.Option("--failing", help="Submit a solution that fails.")] = False,
        plain: Plain = False,
        logs: Logs = False,
    ) -> int:
        """Start a server, submit a solution and watch the verdict."""
        from subcli.cli.commands.server.options import require_server_extra
        from subcli.cli.watching import run
        from subcli.workspace.source import read_source

        require_server_extra(streams)
        from subcli.judge import load_problems

        solution = "failing.py" if failing else "passing.py"
        path = load_problems()[PROBLEM].root / "solutions" / solution
        with tempfile.TemporaryDirectory(prefix="subcli-demo-") as directory, _server(Path(directory)) as url:
            settings = msgspec.structs.replace(common, server=url).settings(streams)
            # Some installers make packages of links.
            source = read_source([str(path)], follow_links=True)
            job = run.CodeToSubmit(source=source, problem=PROBLEM, language="python")
            options = Options(plain=plain, logs=logs, follow_up="subcli serve", has_page=False, resume=_RESUME)
            return run.submit(common, streams, options, settings, job)


@contextlib.contextmanager
def _server(data_dir: Path) -> Iterator[str]:
    """A server in its own process, on a free port; it ends with this process, however that ends."""
    command_line = [sys.executable, "-m", "subcli", "serve", "--json", "--port", "0", "--stop-with-stdin"]
    # In its own session: Ctrl-C is for the watch; the server ends when our end of its stdin closes.
    with subprocess.Popen(
        [*command_line, "--data-dir", str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield _address(process.stdout)
        finally:
            process.stdin.close()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(stdout: IO[bytes]) -> str:
    """The address in the first line that the server prints.

    Raises:
        InternalError: There is none in time, or the line says why there is none.
    """
    try:
        line = start_daemon_thread(stdout.readline).result(START_S)
    except TimeoutError:
        raise InternalError(f"The demo's server did not start within {START_S:g} s.", hint=_SHOWS_WHY) from None
    if not line:
        raise InternalError("The demo's server did not start.", hint=_SHOWS_WHY)
    ready = msgspec.json.decode(line)
    if ready.get("type") != "ready":
        raise InternalError(f"The demo's server did not start: {ready['error']['message']}", hint=_SHOWS_WHY)
    return str(ready["url"])
