"""The judge's own process for one submission: `python -m subcli.judge.supervise.__main__`.

    server  --the job-->  supervisor  --spawn-->  pytest  --spawn-->  nodes of the solution
            <--events---              <--results-

It is the subreaper of everything below it, so that nothing escapes; the server cannot be one, because it has children
that are none of the judge's business. Job and events are lines of JSON on one socket, whose descriptor is the only
argument. Its end is the order to stop, and comes by itself when the server is killed.

pytest takes longest to come up. It is started first; asyncio and what judges are imported meanwhile, in `supervise`.
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

_FLUSH_SECONDS = 3.0
_LETTING_GO_SECONDS = 1.0
"""How long a judging that was cancelled may take to notice."""


def _order(channel: socket.socket) -> dict[str, Any] | None:
    """What the server asks for, one line; None where it is gone."""
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
    """Judge the order `value` with pytest that was `started`, or another program, and leave nothing behind."""
    import asyncio

    from subcli.judge.process.removal import remove_tree
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
                # Nobody reads what is said any more; else it is a fault of ours.
                if not writer.is_closing():
                    raise
    finally:
        judging.cancel()
        stop.cancel()
        kill_descendants(os.getpid())
        # It looks at its files to the last, and may be in the middle of starting something.
        await asyncio.wait({judging, stop}, timeout=_LETTING_GO_SECONDS)
        if judging.done() and not judging.cancelled():
            judging.exception()
        kill_descendants(os.getpid())
        remove_groups(order.plans.groups)
        remove_tree(order.scratch.parent)
        writer.close()
        with suppress(ConnectionError, TimeoutError):
            # What is still unsent goes out first, for as long as someone reads it.
            async with asyncio.timeout(_FLUSH_SECONDS):
                await writer.wait_closed()


def main() -> None:
    """Judge one job."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    become_subreaper()
    hide_from_peers()
    order = _order(channel)
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
    # Taking an interpreter apart is a tenth of the judge's time, and nothing is left that it would do.
    os._exit(0)


if __name__ == "__main__":
    main()
