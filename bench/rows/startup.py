"""``--version``: how long a command takes that does nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench import peers
from bench.measure import Contender, Failed, in_turns
from bench.processes import wall
from bench.table import Table, at_most, lines_of

ROUNDS = 25


def measure() -> Table:
    """Whole processes, from start to end."""
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
        how="Whole processes, wall time. The bare Python is that of the same environment.",
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
            "Found with `-X importtime`: httpx imports a command line of its own (rich, click, pygments) "
            "wherever it can, the interpreter's end looks through everything for cycles, and `typing` alone "
            "doubles an empty Python. None of the three is paid any more; a test in `make test` keeps what each "
            "command may import."
        ),
    )


def milliseconds(command: list[str]) -> Contender:
    """A command's wall time."""
    return lambda: wall(command) * 1000


def milliseconds_of(program: Callable[[], Path], *words: str) -> Contender:
    """The same of a program that may have to be installed first."""
    try:
        return milliseconds([str(program()), *words])
    except Failed as error:
        reason = str(error)

    def absent() -> float:
        raise Failed(reason)

    return absent
