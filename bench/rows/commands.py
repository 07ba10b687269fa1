"""``--help`` and a completion request."""

from __future__ import annotations

from bench import peers
from bench.measure import in_turns
from bench.processes import CONTENDERS, wall
from bench.rows.startup import milliseconds
from bench.table import Table, at_most, lines_of

ROUNDS = 15


def measure() -> Table:
    """Compare with a two-command program with the same typer, in the same environment."""
    subcli = peers.subcli()
    python = str(subcli / "python")
    two, plain = (str(CONTENDERS / f"two_commands{which}.py") for which in ("", "_plain"))
    completing = {"_TWO_COMMANDS.PY_COMPLETE": "complete_bash", "COMP_WORDS": "two_commands.py wat", "COMP_CWORD": "1"}
    outcomes = in_turns(
        {
            "two commands with typer, --help": milliseconds([python, two, "--help"]),
            "the same without rich, --help": milliseconds([python, plain, "--help"]),
            "subcli --help": milliseconds([str(subcli / "subcli"), "--help"]),
            "two commands with typer, completion": lambda: wall([python, two], env=completing) * 1000,
            "subcli, completion": milliseconds([str(subcli / "subcli"), "__complete", "profiles", "watch"]),
        },
        rounds=ROUNDS,
    )
    return Table(
        title="`--help` and completion",
        unit="ms",
        how=(
            "Wall time of whole processes. The baseline is a two-command program with the same typer, with and "
            "without the help pages of rich. Commands and options are completed by the shell script without starting "
            "a process; measured is a request for names that the script does not know."
        ),
        lines=lines_of(outcomes),
        targets=(
            at_most(
                "`--help` over two commands",
                outcomes["subcli --help"],
                outcomes["two commands with typer, --help"],
                1.3,
            ),
            at_most("… without rich", outcomes["subcli --help"], outcomes["the same without rich, --help"], 1.3),
            at_most(
                "completion over two commands",
                outcomes["subcli, completion"],
                outcomes["two commands with typer, completion"],
                1.3,
            ),
        ),
        base="two commands with typer, --help",
    )
