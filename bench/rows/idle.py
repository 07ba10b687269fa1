"""Memory per watcher: 10,000 watchers of submissions in which nothing happens."""

from __future__ import annotations

import resource
import subprocess
import sys

from bench import peers
from bench.contestants import COMMANDS, OURS, server
from bench.measure import Failed, Figure, Outcome
from bench.processes import environment, python_module, resident_kib
from bench.table import Table, below, lines_of

SUBMISSIONS, WATCHERS = 1000, 10_000
MOST_KB = 16.0
SPARE_FILES = 200


def measure() -> Table:
    """Resident memory of the server and its children, before and after the watchers connect."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    watchers = min(WATCHERS, (hard if hard > 0 else WATCHERS * 2) - SPARE_FILES)
    outcomes: dict[str, Outcome] = {}
    for name in COMMANDS:
        try:
            outcomes[name] = Outcome(Figure((_kilobytes_each(name, watchers),)))
        except Failed as error:
            outcomes[name] = Outcome(None, str(error))
    mine = outcomes[OURS].figure
    return Table(
        title=f"{watchers:,} idle watchers",
        unit="KB each",
        how=f"Growth of the server's memory per watcher, with ten watchers on each of {SUBMISSIONS:,} submissions.",
        lines=lines_of(outcomes),
        targets=(below("an idle watcher", mine.median, MOST_KB, "KB"),) if mine is not None else (),
        base=OURS,
    )


def _kilobytes_each(name: str, watchers: int) -> float:
    with server(name, submissions=SUBMISSIONS) as (running, _):
        before = resident_kib(running.pid)
        words = ["--submissions", str(SUBMISSIONS), "--watchers", str(watchers), "--hold", "60"]
        with subprocess.Popen(
            python_module("load", "--port", str(running.port), *words),
            cwd=peers.CHECKOUT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=sys.stderr if sys.flags.dev_mode else subprocess.DEVNULL,
        ) as load:
            try:
                assert load.stdout is not None
                # The watchers give up by themselves after a minute and a half.
                if not load.stdout.readline():
                    raise Failed("not all of them could connect in a minute and a half")
                return (resident_kib(running.pid) - before) * 1.024 / watchers
            finally:
                load.kill()
