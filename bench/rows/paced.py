"""1,000 watchers, each receiving ten events per second."""

from __future__ import annotations

import threading
import time

from bench.contestants import BARE, FASTAPI, OURS, server, watch
from bench.measure import Figure
from bench.processes import cpu_s
from bench.table import Line, Table, Target, below

SUBMISSIONS, WATCHERS, RATE, SECONDS = 100, 1000, 10, 10
CORES = 0.35
EVENT_MS = 0.15


def measure() -> Table:
    """Each event has the time at which it was created, before the commit."""
    lines: list[Line] = []
    targets: list[Target] = []
    for name in (BARE, OURS, FASTAPI):
        events = RATE * SECONDS
        with server(name, submissions=SUBMISSIONS, events=events, rate=RATE) as (running, go):
            words = ["--submissions", str(SUBMISSIONS), "--watchers", str(WATCHERS), "--events", str(events)]
            used = _Used(running.pid)
            told = watch(running, [*words, "--go", str(go), "--timed", "--limit", str(SECONDS + 15)], limit_s=100)
            cores = used.cores(told["seconds"])
        lost = told["expected"] - told["frames"]
        note = f"p99 {told['p99']:.0f} ms, {cores:.2f} cores" + (f", {lost:,} frames lost" if lost else "")
        lines.append(Line(name, Figure((told["p50"],)), note))
        if name == OURS:
            targets = [
                below("1,000 watchers × 10 events/s, p99", told["p99"], 15, "ms"),
                below("… processor", cores, CORES, "cores", 2),
                below(
                    f"an event's whole way, to {WATCHERS // SUBMISSIONS} watchers",
                    cores * 1000 / (SUBMISSIONS * RATE),
                    EVENT_MS,
                    "ms of processor time",
                    2,
                ),
            ]
    return Table(
        title=f"{WATCHERS:,} watchers × {RATE} events/s",
        unit="ms, p50",
        how="From the judge's event to the watcher's read, including batching, commit and fan-out.",
        remarks=(
            "According to py-spy, of the time in which the server holds the interpreter's lock, the writes to the "
            "sockets take a quarter; each is a system call besides, and ten of them take 0.07 ms, whoever makes them. "
            "The judge's event took a fifth, its transaction an eighth, and handing that to a thread and back a tenth; "
            "the latter two were made a third shorter. uvloop did not reduce the processor time measurably."
        ),
        lines=tuple(lines),
        targets=tuple(targets),
        base=BARE,
    )


class _Used:
    """The most processor time a process used in any second, since sampling began."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            self._samples.append((time.monotonic(), cpu_s(self._pid)))

    def cores(self, seconds: float) -> float:
        """Cores used in the last ``seconds`` before now."""
        self._over.set()
        self._thread.join()
        end = self._samples[-1]
        begin = next(sample for sample in self._samples if sample[0] >= end[0] - seconds * 0.9)
        return (end[1] - begin[1]) / max(end[0] - begin[0], 0.001)
