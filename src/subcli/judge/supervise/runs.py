"""The runs of the solution that a TAP command starts: announced before they begin, recorded when they end.

The command says what it tests on stdout, and starts the solution on its own. The two meet here: a run waits until
everything that was printed before it has been read, so it is certain which test started it.
"""

from __future__ import annotations

import asyncio
import marshal
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from subcli.judge.evidence import OUTPUT_BYTES
from subcli.judge.problem import ResourceLimits
from subcli.judge.process import mounts
from subcli.judge.process.starter import CONFINING, StartPlan
from subcli.judge.process.text import cut, decode
from subcli.judge.supervise.fronts import Ended, Fronts

_READ_BYTES = 64 * 1024


@dataclass
class Run:
    """One run of the solution."""

    pid: int
    """The process that stands for it: `process/launch.py`, or the solution's own. 0 until there is one."""
    session: int = 0
    """The session of the solution's processes. A sandbox puts them into another one, and ends them all by itself."""
    front: int = 0
    """The front that asks for it; 0 if a launcher does."""
    signals: list[int] = field(default_factory=list)
    """What the front got before the run began."""
    test: int = 0
    """How many tests had ended when it began."""
    read: int = 0
    """How much of what it wrote to stderr has been read."""
    told: int = 0
    """How much of it has been told while it ran."""


class Runs:
    """All runs of one TAP command.

    Args:
        scratch: A directory of the judge's own.
        on_waiting: Called when a run waits for leave to begin.
    """

    def __init__(self, scratch: Path, on_waiting: Callable[[], None]) -> None:
        self._scratch = scratch
        self._on_waiting = on_waiting
        self._records = scratch / "runs"
        self._records_read = 0
        self._starts = scratch / "starts"
        self._partial = b""
        self._waiting: deque[Run] = deque()
        self._begun: dict[int, Run] = {}
        self._ended: set[int] = set()
        self._fresh: list[Ended] = []
        os.mkfifo(self._starts, 0o600)
        # For both directions, so that it does not end between two runs.
        self._fronts: Fronts | None = None
        self._trust: Callable[[int], None] = lambda _pid: None
        self._descriptor = os.open(self._starts, os.O_RDWR | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read_starts)

    def close(self) -> None:
        """Take no more runs."""
        if self._fronts is not None:
            self._fronts.close()
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def prepare(
        self,
        plan: StartPlan,
        command: tuple[str, ...],
        limits: ResourceLimits,
        results: int,
        on_start: Callable[[int], None],
        trust: Callable[[int], None],
    ) -> Path:
        """Prepare what the command starts. Returns its path.

        Args:
            plan: How the solution is started.
            command: What starts it.
            limits: What it may use.
            results: The inode of the pipe for results.
            on_start: Called with the id of a process of ours before anything else can wait for it.
            trust: Called with the id of each process that stands between the command and the solution.
        """
        described = self._scratch / "plan"
        entered = mounts.descriptors(plan.mounts)
        facts = {
            "entered": list(entered),
            "confining": list(CONFINING),
            "command": list(command),
            "results": results,
            "runs": str(self._records),
            "starts": str(self._starts),
            "output_bytes": limits.output_kb * 1024,
        }
        described.write_bytes(
            marshal.dumps({**plan.as_json(), "prefix": list(plan.prefix), "mounts": list(plan.mounts), **facts})
        )
        self._trust = trust
        self._fronts = Fronts(self._scratch, self._starts, described, entered, on_start, trust, self._add)
        return self._fronts.program

    def _read_starts(self) -> None:
        with suppress(BlockingIOError):
            *lines, self._partial = (self._partial + os.read(self._descriptor, _READ_BYTES)).split(b"\n")
            for line in lines:
                kind, *words = line.split()
                numbers = [int(word) for word in words]
                if kind == b"run":
                    launcher, solution = numbers
                    self._waiting.append(Run(launcher, solution))
                else:
                    self._said(*numbers)
            if self._waiting:
                self._on_waiting()

    def _said(self, front: int, number: int) -> None:
        """A front has said that it is there, or that it has got a signal."""
        waiting = next((run for run in self._waiting if run.front == front), None)
        if number == 0:
            self._waiting.append(Run(0, front=front))
        elif waiting is not None:
            waiting.signals.append(number)
        elif self._fronts is not None:
            self._fronts.signalled(front, number)

    def next_waiting(self) -> Run | None:
        """The next run that wants to begin."""
        return self._waiting.popleft() if self._waiting else None

    def begin(self, run: Run, test: int) -> None:
        """Let a run begin, as part of the test after `test` others."""
        run.test = test
        if run.front and self._fronts is not None:
            run.pid = run.session = self._fronts.begin(run.front)
            if run.pid:
                self._begun[run.pid] = run
                # A number that an earlier run has had is not the mark of an end.
                self._ended.discard(run.pid)
            for number in run.signals:
                self._fronts.signalled(run.front, number)
            return
        self._begun[run.pid] = run
        self._ended.discard(run.pid)
        self._trust(run.pid)
        # Its launcher may have been killed meanwhile.
        with suppress(OSError):
            descriptor = os.open(f"{self._starts}.{run.pid}", os.O_WRONLY | os.O_NONBLOCK)
            os.write(descriptor, b"\n")
            os.close(descriptor)

    def _add(self, record: Ended) -> None:
        """A run has ended by itself. One that we have ended is known."""
        if record.pid not in self._ended:
            self._fresh.append(record)
            self._ended.add(record.pid)

    def ended(self, test: int) -> list[Ended]:
        """The runs of the first `test` tests that have ended by themselves since the last call."""
        self._read_records()
        found = [each for each in self._fresh if self._test_of(each) < test]
        self._fresh = [each for each in self._fresh if self._test_of(each) >= test]
        return found

    def _test_of(self, record: Ended) -> int:
        run = self._begun.get(record.pid)
        return run.test if run else 0

    def open_before(self, test: int) -> list[Run]:
        """The runs that earlier tests than `test` began and that have not ended by themselves."""
        self._read_records()
        return [run for run in self._begun.values() if run.test < test and run.pid not in self._ended]

    def _read_records(self) -> None:
        """Read what launchers have written down."""
        try:
            descriptor = os.open(self._records, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            data = os.pread(descriptor, os.fstat(descriptor).st_size - self._records_read, self._records_read)
        finally:
            os.close(descriptor)
        self._records_read += len(data)
        for line in data.splitlines():
            self._add(msgspec.json.decode(line, type=Ended))

    def forget(self, runs: Iterable[Run]) -> None:
        """These runs were ended."""
        self._ended.update(run.pid for run in runs)

    def fresh_output(self) -> Iterator[tuple[int, bytes, int]]:
        """What runs have written to stderr since the last call.

        Yields:
            how many tests had ended when the run began, what it wrote, and how many bytes after that are left out.
        """
        for run in self._begun.values():
            with suppress(FileNotFoundError), Path(f"{self._records}.{run.pid}").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                if size > run.told:
                    file.seek(run.told)
                    data = file.read(_READ_BYTES)
                    skipped = max(0, size - run.told - len(data))
                    run.told += len(data) + skipped
                    yield run.test, data, skipped

    def stderr(self, test: int) -> str:
        """What runs of the first `test` tests have written to stderr since the last call, cut if it is long."""
        texts: list[str] = []
        for run in [each for each in self._begun.values() if each.test < test]:
            path = f"{self._records}.{run.pid}"
            # Most runs write nothing there.
            with suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                start = file.seek(max(run.read, size - _READ_BYTES))
                texts.append(decode(file.read(), cut_before=start > run.read).strip())
                run.read = size
                if run.pid in self._ended:
                    os.unlink(path)
            if run.pid in self._ended:
                del self._begun[run.pid]
        return cut("\n".join(filter(None, texts)), OUTPUT_BYTES)
