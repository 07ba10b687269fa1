"""``--version``: the time of a command that does nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench import peers
from bench.measure import Contender, Failed, in_turns
from bench.processes import wall
from bench.table import Table, at_most, lines_of

ROUNDS = 25


def measure() -> Table:
    """Time whole processes from start to end."""
    subcli = peers.subcli()
    outcomes = in_turns(
        {
            "python -c pass": milliseconds([str(subcli / "python"), "-c", "pass"]),
            "subcli --version": milliseconds([str(subcli / "subcli"), "--version"]),
            "gh --version": milliseconds_of(peers.gh, "--version"),
            "wscat --version": milliseconds_of(lambda: peers.node() / "node_modules/.bin/wscat", "--version"),
            "http --version": milliseconds_of(lambda: peers.peers() / "http", "--version"),
        },
        rounds=ROUNDS,
    )
    mine = outcomes["subcli --version"]
    return Table(
        title="`--version`",
        unit="ms",
        how="Wall time of whole processes. Bare Python is the interpreter of the same environment.",
        lines=lines_of(outcomes),
        targets=(
            at_most("`--version` over bare Python", mine, outcomes["python -c pass"], 1.8),
            *(
                at_most(f"… over `{name}`", mine, outcomes[name], 1)
                for name in outcomes
                if name.endswith("--version") and not name.startswith("subcli")
            ),
        ),
        base="python -c pass",
        remarks=(
            "According to `-X importtime`, httpx imports its own command line (rich, click, pygments) if it is "
            "installed, the interpreter runs a full garbage collection at exit, and `typing` alone doubles the "
            "start-up time of Python. subcli avoids all three; a test limits what each command may import."
        ),
    )


def milliseconds(command: list[str]) -> Contender:
    """Measure the wall time of a command."""
    return lambda: wall(command) * 1000


def milliseconds_of(program: Callable[[], Path], *words: str) -> Contender:
    """Measure a program that may have to be installed first."""
    try:
        return milliseconds([str(program()), *words])
    except Failed as error:
        reason = str(error)

    def absent() -> float:
        raise Failed(reason)

    return absent
