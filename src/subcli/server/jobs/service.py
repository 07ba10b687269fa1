"""Whether this worker takes submissions.

A worker whose judge fails twice in a row, without the solutions being at fault, would empty the queue into verdicts
`error`. It takes itself out of service, tests itself after a pause, and comes back when the test passes. The pauses
grow with each failed test and with each return that did not last, so that a worker that passes its test and fails
nevertheless spoils little; unless it fails on one problem only, which is then what is broken.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from subcli.judge.trial import self_test
from subcli.server.jobs.ability import Ability, try_out
from subcli.server.jobs.judging import Judge
from subcli.server.log.requeue import Able
from subcli.server.settings import ServerLimits

_log: Final = logging.getLogger(__name__)
_LONGEST_PAUSE_S: Final = 60.0
IN_SERVICE: Final = (
    "subcli_workers_in_service",
    "How many submissions this process judges at the same time; 0 while it takes none.",
)
"""The metric that tells it, with its description."""
_MANY: Final = 32
"""Setbacks after which the pause is at its longest in any case."""
_FAILURES: Final = 2
"""How many failures in a row take a worker out of service."""
_LOOK_S: Final = 1.0


class Service:
    """Decides whether this worker takes submissions, and which.

    Args:
        ability: what it can judge.
        test: judges a bundled job; returns why that failed, empty if it passed.
        pause_s: seconds before the first self-test; doubled for each further one, up to a minute.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        ability: Ability,
        test: Callable[[], Awaitable[str]],
        pause_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ability = ability
        self._test = test
        self._pause_s = pause_s
        self._sleep = sleep
        self._in_a_row = 0
        self._failing: set[str] = set()
        """The problems on which the judge has failed since the last verdict."""
        self._setbacks = 0
        """Failed self-tests, and returns that did not last."""
        self._out = ""
        self._has_left = asyncio.Event()
        self._has_returned = asyncio.Event()
        self._has_returned.set()

    @property
    def reason(self) -> str:
        """Why this worker takes nothing, in words without paths; empty if it is in service."""
        return self._out or self._ability.shortage

    @property
    def lasting(self) -> Able | None:
        """What this worker can judge when it is well; None while that is not known yet."""
        return self._ability.lasting if self._ability.is_settled else None

    def able(self) -> Able:
        """What this worker can judge now: nothing while it is out of service."""
        return {} if self._out else self._ability.look()

    @property
    def everything(self) -> Able:
        """What this worker could judge if it lacked nothing."""
        return self._ability.everything

    def can_judge(self, problem: str, language: str) -> bool:
        """Whether this worker has what a submission needs, apart from being in service."""
        return self._ability.can_judge(problem, language)

    async def wait_until_able(self) -> None:
        """Wait until this worker can judge something."""
        while not self.able():
            if self._out:
                await self._has_returned.wait()
            else:
                await asyncio.sleep(_LOOK_S)

    def succeeded(self) -> None:
        """A submission got its verdict."""
        self._in_a_row = self._setbacks = 0
        self._failing.clear()

    def failed(self, problem: str, why: str) -> None:
        """The judge failed on a submission to this problem, which was not the submission's fault."""
        self._in_a_row += 1
        self._failing.add(problem)
        if self._in_a_row >= _FAILURES:
            self._leave(f"the judge failed {self._in_a_row} times in a row; the last time: {why}")

    def fell_short(self, why: str) -> None:
        """This process lacks descriptors, memory or processes. It would lack them for the next submission as well."""
        self._leave(f"too little memory, or too few processes or descriptors: {why}")

    def _leave(self, why: str) -> None:
        if not self._out:
            self._out = why
            _log.error("this worker is out of service: %s", self._out)
            self._has_returned.clear()
            self._has_left.set()

    async def run(self) -> None:
        """Until cancelled, try languages, and test this worker whenever it is out of service."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ability.keep_trying())
            group.create_task(self._return_when_well())

    async def _return_when_well(self) -> None:
        while True:
            await self._has_left.wait()
            pause_s = self._pause_s * 2 ** min(self._setbacks, _MANY)
            self._setbacks += 1
            await self._sleep(min(pause_s, _LONGEST_PAUSE_S))
            if complaint := await self._test():
                _log.error("this worker stays out of service: its self-test failed: %s", complaint)
                continue
            _log.warning("this worker is in service again: its self-test passed")
            if len(self._failing) == 1:
                # The problem is at fault, and submissions to others must not wait for it.
                _log.warning("the judge failed on %s only; try `subcli problems check`", *self._failing)
                self._setbacks = 0
            self._out, self._in_a_row = "", 0
            self._has_left.clear()
            self._has_returned.set()


class Standstill:
    """Notices that the queue does not move: its first submission stays the first for as long as `seconds`."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._first: int | None = None
        self._since = 0.0

    def lasts(self, first: int | None) -> bool:
        """Note which submission is first now, None if none is waiting. Whether it has been for so long."""
        if first is None or first != self._first:
            self._first, self._since = first, self._clock()
        return first is not None and self._clock() - self._since >= self._seconds


def service_of(judge: Judge, ability: Ability, limits: ServerLimits) -> Service:
    """A service that tests itself with the judge of the submissions."""
    return Service(ability, lambda: try_out(judge, self_test()), limits.self_test)
