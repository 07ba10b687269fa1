"""Time that does not depend on what else the machine does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from subcli.judge.process.processes import Process, delay_s

MAX_STRETCH = 30.0
"""However busy the machine is, a limit of time has passed after so many times its length."""
_CONTENDED = 1.25
"""So much more time must have passed than was used for the machine to count as busy; samples are no finer."""


class Stopwatch:
    """Measures the time that the tests would have taken on a machine of their own.

    That is the processor time of the solution, and the time in which it waits. It does not wait while one of its
    threads, the tests' or ours is ready to run and has no processor.

    Args:
        clock: Returns seconds; replaced in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cpu_s = 0.0
        self._delays_s: dict[int, float] = {}
        """How long each process, this one included, has waited for a processor."""
        self.used_s = 0.0
        self.sampled = clock()
        """When the last sample was taken, on the clock."""

    def sample(self, running: list[Process], below: list[Process]) -> None:
        """Add what has passed since the last sample.

        Args:
            running: The solution's processes.
            below: They, and those of the tests.
        """
        now, cpu_s = self._clock(), sum(each.cpu_s for each in running)
        # Less than before where a process has ended that nobody in `running` waited for.
        computed_s = max(0.0, cpu_s - self._cpu_s)
        self.used_s += max(computed_s, self._waited_s(now - self.sampled, below))
        self._cpu_s, self.sampled = cpu_s, now

    def _waited_s(self, passed_s: float, below: list[Process]) -> float:
        """How much of the time since the last sample the tests themselves let pass.

        Not what they were kept from running by the machine, nor what this process was, which starts them, notices their
        end, and takes the samples.
        """
        delays_s = {each.pid: delay_s(each.pid, each.threads) for each in below}
        delays_s[os.getpid()] = delay_s(os.getpid())
        kept_s = sum(max(0.0, delay - self._delays_s.get(pid, 0.0)) for pid, delay in delays_s.items())
        self._delays_s = delays_s
        return 0.0 if any(each.is_busy for each in below) else max(0.0, passed_s - kept_s)


class Timer:
    """A limit of time on a stopwatch, from now on.

    Args:
        stopwatch: What measures.
        limit_s: How much may be used.
    """

    def __init__(self, stopwatch: Stopwatch, limit_s: float) -> None:
        self._stopwatch = stopwatch
        self._limit_s = limit_s
        self._used_s, self._started = stopwatch.used_s, stopwatch.sampled

    @property
    def is_up(self) -> bool:
        """Whether the limit has passed."""
        watch = self._stopwatch
        is_used_up = watch.used_s - self._used_s > self._limit_s
        return is_used_up or watch.sampled - self._started > MAX_STRETCH * self._limit_s

    @property
    def is_contended(self) -> bool:
        """Whether the machine had other things to do: more time has passed since the start than was used."""
        watch = self._stopwatch
        return watch.sampled - self._started > _CONTENDED * (watch.used_s - self._used_s)
