"""1,000 watchers on 100 submissions, at full speed."""

from __future__ import annotations

from bench.contestants import BARE, CHANNELS, COMMANDS, FASTAPI, OURS, server, watch
from bench.measure import Contender, Failed, in_turns
from bench.table import Table, at_least, lines_of

SUBMISSIONS, WATCHERS = 100, 1000
EVENTS = {CHANNELS: 10}
EVENTS_OTHERWISE = 200
ROUNDS = 3


def measure() -> Table:
    """Each round starts a new server."""
    notes: dict[str, str] = {}
    outcomes = in_turns(
        {name: _frames_a_second(name, notes) for name in COMMANDS}, rounds=ROUNDS, warm_up=0, budget_s=90
    )
    mine = outcomes[OURS]
    return Table(
        title=f"{WATCHERS:,} watchers on {SUBMISSIONS} submissions, at full speed",
        unit="frames/s",
        how=(
            f"{EVENTS_OTHERWISE} events of each submission ({EVENTS[CHANNELS]} with Channels), from the start signal "
            "to the last event, received by watchers that only count, in one process on the other core. subcli numbers "
            "the events, commits them to SQLite and limits the memory of slow readers; the others only send."
        ),
        lines=lines_of(outcomes, notes),
        targets=(
            at_least("fan-out over the bare broadcast", mine, outcomes[BARE], 0.6),
            at_least("… over FastAPI's manager", mine, outcomes[FASTAPI], 1),
            at_least("… over Channels", mine, outcomes[CHANNELS], 1.5),
        ),
        base=BARE,
        digits=0,
    )


def _frames_a_second(name: str, notes: dict[str, str]) -> Contender:
    def run() -> float:
        events = EVENTS.get(name, EVENTS_OTHERWISE)
        with server(name, submissions=SUBMISSIONS, events=events) as (running, go):
            words = ["--submissions", str(SUBMISSIONS), "--watchers", str(WATCHERS), "--events", str(events)]
            told = watch(running, [*words, "--go", str(go)], limit_s=90)
        if told["frames"] < 2 or not told["seconds"]:
            raise Failed("no frames came")
        if told["frames"] < told["expected"]:
            notes[name] = f"{told['expected'] - told['frames']:,} of {told['expected']:,} frames lost"
        return float(told["frames"] / told["seconds"])

    return run
