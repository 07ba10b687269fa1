"""How long a process took, without the time for which it waited for a CPU.

A test of a deadline must not fail because the machine is busy, and must not pass because it allows for a busy machine
where there is none. The kernel counts for each process how long it could have run but was not scheduled
(``/proc/PID/schedstat``, see ``Documentation/scheduler/sched-stats``). That much is subtracted, and nothing else: a
process that sleeps for three seconds takes three seconds at any load.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
import time
from dataclasses import dataclass
from pathlib import Path

GRACE_S = 0.5
"""What a command may compute between two moments that a test compares, imports on first use included."""


@dataclass(frozen=True)
class Scheduling:
    """What a process got from the scheduler so far.

    Attributes:
        ran_s: seconds on a CPU.
        queued_s: seconds for which it was runnable and waited for one.
    """

    ran_s: float = 0.0
    queued_s: float = 0.0


def scheduling(pid: int) -> Scheduling | None:
    """The counters of a process's main thread; ``None`` once the process is gone."""
    try:
        ran, queued, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Scheduling(int(ran) / 1e9, int(queued) / 1e9)


def scheduled_time() -> float:
    """The seconds of a clock that stands still while the main thread waits for a CPU."""
    counters = scheduling(os.getpid())
    assert counters is not None
    return time.monotonic() - counters.queued_s


class Sampler:
    """Follows one process from an event loop until it ends.

    Attributes:
        counters: the last that could be read.
        lag_s: how much later than asked the event loop woke up, in total: what it observes, it observes late.
    """

    INTERVAL_S = 0.1

    def __init__(self, pid: int) -> None:
        self.counters = scheduling(pid) or Scheduling()
        self.lag_s = 0.0
        self._pid = pid
        self._task = asyncio.ensure_future(self._sample())

    async def _sample(self) -> None:
        while True:
            slept = time.monotonic()
            await asyncio.sleep(self.INTERVAL_S)
            self.lag_s += max(time.monotonic() - slept - self.INTERVAL_S - 0.001, 0.0)
            self.counters = scheduling(self._pid) or self.counters

    async def stop(self) -> None:
        """Stop; the counters stay."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Ending:
    """The time from now to the end of a process, as seen by a thread that does nothing else.

    Create it right before the process is told to end, in the main thread of the process that is its peer: for the
    process may wait for an answer that is late because the peer waits for a CPU.
    """

    INTERVAL_MS = 5

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._before = self._last = scheduling(pid) or Scheduling()
        self._peer_before = self._peer_last = scheduling(os.getpid()) or Scheduling()
        self._began = self._ended = time.monotonic()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        ended = select.poll()
        ended.register(self._descriptor, select.POLLIN)
        while not ended.poll(self.INTERVAL_MS):
            self._last = scheduling(self._pid) or self._last
        self._ended = time.monotonic()
        # Unless somebody was quicker to wait for it, it is a zombie that still has its counters.
        self._last = scheduling(self._pid) or self._last
        self._peer_last = scheduling(os.getpid()) or self._peer_last
        os.close(self._descriptor)

    async def took_s(self) -> float:
        """Wait for the end, and return the seconds until then, those that either was in the run queue left out.

        Raises:
            AssertionError: the process still runs after half a minute.
        """
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, 30)
        assert not self._thread.is_alive(), "the process did not end"
        queued_s = self._last.queued_s - self._before.queued_s
        return self._ended - self._began - queued_s - (self._peer_last.queued_s - self._peer_before.queued_s)
