"""200,000 events into a pipe: how many arrive, and how fast."""

from __future__ import annotations

import functools
from collections.abc import Callable

from bench import peers
from bench.measure import Contender, Failed, Outcome, in_turns
from bench.processes import CONTENDERS, Read, python_module, read_all, serving
from bench.table import Table, Target, at_most, lines_of

EVENTS = 200_000
ROUNDS = 3
LIMIT_S = 40.0
BARE = "bare loop with websockets"
TUNED = "tuned loop with websockets"
OURS = "subcli watch --json"


def measure() -> Table:
    """Compare with other programs that print the messages of a WebSocket."""
    seen: dict[str, list[int]] = {}
    with serving(python_module("stub", "--events", str(EVENTS))) as server:
        programs: dict[str, Callable[[], list[str]]] = {
            "raw socket, nothing decoded": lambda: [_floor(), str(CONTENDERS / "raw_loop.py"), server.ws],
            BARE: lambda: [_floor(), str(CONTENDERS / "bare_loop.py"), server.ws],
            TUNED: lambda: [str(peers.subcli() / "python"), str(CONTENDERS / "tuned_loop.py"), server.ws],
            OURS: lambda: [str(peers.subcli() / "subcli"), "watch", "1", "--json", "--server", server.url],
            "python -m websockets": lambda: [str(peers.peers() / "python"), "-m", "websockets", server.ws],
            "node, ws": lambda: _node("ws_lines.cjs", server.ws),
            "node, ws, without exit()": lambda: _node("ws_lines_patient.cjs", server.ws),
            "wscat": lambda: [str(peers.node() / "node_modules/.bin/wscat"), "--connect", server.ws],
        }
        contenders = {name: events_a_second(program, seen.setdefault(name, [])) for name, program in programs.items()}
        outcomes = in_turns(contenders, rounds=ROUNDS, warm_up=0, budget_s=110)
    notes = {name: lost(counts) for name, counts in seen.items() if counts}
    return Table(
        title=f"{EVENTS:,} events into a pipe",
        unit="events/s",
        how=(
            "From the first line to the last, as seen by the reader of the pipe: results of 1,000 tests, about 200 "
            "bytes each, from a server that sends as fast as the client reads. Lines are counted."
        ),
        lines=lines_of(outcomes, notes),
        targets=(
            Target(
                "`watch --json` loses no line", notes.get(OURS, "not measured"), "all lines", notes.get(OURS) == ALL
            ),
            at_most("the tuned loop's rate over ours", outcomes[TUNED], outcomes[OURS], 1.3),
            *_ahead(outcomes, notes),
        ),
        base=TUNED,
        remarks=(
            "The tuned loop is the best one that we could write with websockets: bytes instead of text, no "
            "compression, a queue of 1,024 frames, msgspec, one write for all that has arrived. It checks nothing and "
            "counts nothing. subcli checks the types, the number and the submission id of each message, counts its "
            "test, and writes nothing that a terminal would obey. Most of the loop's time goes into the parser of "
            "websockets, a dozen calls of generators for each frame. subcli finds the end of whole text frames by "
            "their first bytes and leaves all others to websockets; it decodes a message once, typed, and writes "
            "the text as it came, with `schema` in front, where each of its characters is printable ASCII. Node "
            "parses frames and JSON in C++; its client loses no lines only without `exit()`."
        ),
        digits=0,
    )


ALL = "all lines"


def _ahead(outcomes: dict[str, Outcome], notes: dict[str, str]) -> list[Target]:
    """A target for each peer that loses nothing; the loops are baselines, not peers."""
    others = [name for name in outcomes if name not in (OURS, BARE, TUNED) and not name.startswith("raw")]
    return [
        at_most(f"`{name}`'s rate over ours", outcomes[name], outcomes[OURS], 2 if name.startswith("node") else 1)
        for name in others
        if notes.get(name) == ALL
    ]


def lost(counts: list[int]) -> str:
    """Say how many lines the worst run lost."""
    worst = min(counts)
    return ALL if worst >= EVENTS else f"{EVENTS - worst:,} of {EVENTS:,} lines lost"


def events_a_second(program: Callable[[], list[str]], counts: list[int]) -> Contender:
    """Events a second of a program, from the first line to the last; their numbers are added to `counts`."""

    def run() -> float:
        read = read_all(program(), limit_s=LIMIT_S)
        counts.append(min(read.lines, EVENTS))
        return _rate(read)

    return run


def _rate(read: Read) -> float:
    if read.lines < 2:
        raise Failed(f"{read.lines} lines came")
    return read.lines / (read.last_s - read.first_s)


@functools.cache
def _floor() -> str:
    return str(peers.floor() / "python")


def _node(script: str, url: str) -> list[str]:
    # Node looks for modules beside the script.
    target = peers.node() / script
    target.write_text((CONTENDERS / script).read_text())
    return ["node", str(target), url]
