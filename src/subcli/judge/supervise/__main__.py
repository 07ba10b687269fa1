"""The judge's own process for one submission: `python -m subcli.judge.supervise FD`.

    server  --the job-->  supervisor  --spawn-->  pytest  --spawn-->  nodes of the solution
            <--events---              <--results-

It is the subreaper of everything below it, so that nothing escapes. The server cannot be one, because it has other
children. The order and the events are lines of JSON on one socket; its descriptor is the only argument. When the
socket ends, the process stops: so it also does when the server is killed.

pytest takes longest to start, so it is started first. asyncio and the judge's modules are imported meanwhile, in
`supervise`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subcli.judge.process.processes import become_subreaper, hide_from_peers, kill_descendants
from subcli.judge.supervise.pytest_process import PytestProcess, start_pytest

if TYPE_CHECKING:
    import asyncio

_FLUSH_TIMEOUT_S = 3.0
_CANCEL_TIMEOUT_S = 1.0
"""How long a cancelled task may take to end."""


def _read_order(channel: socket.socket) -> dict[str, Any] | None:
    """What the server asks for, as one line; None if the server has gone."""
    line = b""
    while not line.endswith(b"\n"):
        data = channel.recv(65_536)
        if not data:
            return None
        line += data
    order: dict[str, Any] = json.loads(line)
    return order


async def _end_of_input(reader: asyncio.StreamReader) -> None:
    while await reader.read(4_096):
        pass


async def supervise(channel: socket.socket, value: dict[str, Any], started: PytestProcess | None) -> None:
    """Carry out an order and leave nothing behind.

    Args:
        channel: The socket to the server.
        value: The order.
        started: pytest; None if the problem uses another program.
    """
    import asyncio

    from subcli.judge.process.workplace import remove_workplace
    from subcli.judge.sandbox.groups import remove_groups
    from subcli.judge.supervise.supervisor import Order, Supervisor

    reader, writer = await asyncio.open_connection(sock=channel)
    order = Order.read(value)
    judging = asyncio.create_task(Supervisor(order, writer, started).run())
    stop = asyncio.create_task(_end_of_input(reader))
    try:
        await asyncio.wait({judging, stop}, return_when=asyncio.FIRST_COMPLETED)
        if judging.done():
            try:
                judging.result()
            except ConnectionError:
                # The server no longer reads. Any other connection error is a bug.
                if not writer.is_closing():
                    raise
    finally:
        judging.cancel()
        stop.cancel()
        kill_descendants(os.getpid())
        # It may be starting a process right now, and it still uses the files that are removed below.
        await asyncio.wait({judging, stop}, timeout=_CANCEL_TIMEOUT_S)
        if judging.done() and not judging.cancelled():
            judging.exception()
        kill_descendants(os.getpid())
        remove_groups(order.plans.groups)
        for tool in order.tools:
            remove_groups(tool.plans.groups)
        remove_workplace(order.scratch.parent)
        writer.close()
        with suppress(ConnectionError, TimeoutError):
            # Send what is still unsent, as long as the server reads it.
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await writer.wait_closed()


def main() -> None:
    """Judge one job."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    become_subreaper()
    hide_from_peers()
    order = _read_order(channel)
    if order is None:
        return
    tests = order["tests"]
    started = start_pytest(Path(tests), Path(order["scratch"])) if tests else None
    import asyncio

    try:
        asyncio.run(supervise(channel, order, started))
    finally:
        kill_descendants(os.getpid())
    sys.stdout.flush()
    # Finalizing the interpreter would take a tenth of the judge's time and has nothing left to do.
    os._exit(0)


if __name__ == "__main__":
    main()
