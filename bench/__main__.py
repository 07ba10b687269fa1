"""``python -m bench [--write] [ROW …]``: measure all rows, or those named, and print the tables.

Each row runs in its own process with a time limit, so a hang or a crash affects only that row.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Final

from bench import page
from bench.measure import Failed
from bench.peers import CHECKOUT
from bench.table import Table, Target

ROWS: Final = (
    "startup",
    "commands",
    "submit",
    "throughput",
    "unnumbered",
    "live",
    "first_frame",
    "frame",
    "latency",
    "commit",
    "memory",
    "fanout",
    "paced",
    "idle",
    "server_memory",
    "durable",
    "size",
    "million",
    "gateways",
    "judge",
    "scripts",
    "sandbox",
)
ROW_S: Final = 300.0


def main() -> int:
    """Run the benchmarks and print the tables. The exit code is 1 if a row could not be measured."""
    words = argparse.ArgumentParser(prog="make bench")
    words.add_argument("--write", action="store_true", help="write docs/performance.md")
    words.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default: all")
    given = words.parse_args()
    unknown = set(given.rows) - set(ROWS)
    if unknown:
        words.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    began = time.monotonic()
    started = page.machine()
    print("\n".join(started), end="\n\n", flush=True)
    tables = []
    for name in given.rows or ROWS:
        at = time.monotonic()
        tables.append(in_process(name))
        print(page.text(tables[-1]) + f"  ({time.monotonic() - at:.0f} s)\n", flush=True)
    print(f"{time.monotonic() - began:.0f} s altogether")
    if given.write:
        page.write(tables, started, CHECKOUT / "docs" / "performance.md")
    return 1 if any(not table.how for table in tables) else 0


def in_process(name: str) -> Table:
    """Run one row in its own process. If it fails, the table is empty and says why."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_measure, args=(name, theirs))
    process.start()
    theirs.close()
    try:
        result = ours.recv() if ours.poll(ROW_S) else f"took longer than {ROW_S:g} s"
    except EOFError:
        result = "its process died"
    if process.is_alive():
        process.terminate()
    process.join(10)
    if isinstance(result, Table):
        return result
    return Table(name, "", "", (), (Target(f"row `{name}`", str(result), "", None),))


def _measure(name: str, to: Connection) -> None:
    # Whoever took too long still ends what it has started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    try:
        result: Table | str = importlib.import_module(f"bench.rows.{name}").measure()
    except Failed as error:
        result = str(error)
    except Exception as error:
        traceback.print_exc()
        result = f"{type(error).__name__}: {error}"
    to.send(result)


if __name__ == "__main__":
    sys.exit(main())
