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
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from subcli.judge import Problem
from subcli.judge.process.space import Space
from subcli.judge.trial import self_test
from subcli.server.jobs.ability import Ability, space_in_temporary_directory, try_out
from subcli.server.jobs.judging import Judge
from subcli.server.jobs.room import Room
from subcli.server.log.requeue import Able
from subcli.server.settings import ServerLimits

_log: Final = logging.getLogger(__name__)
_LONGEST_PAUSE_S: Final = 60.0
_MANY: Final = 32
"""Setbacks after which the pause is at its longest in any case."""
_FAILURES: Final = 2
"""How many failures in a row take a worker out of service."""
_LOOK_S: Final = 1.0


class Service:
    """The judging of one process: where it takes place, and which submissions it takes.

    Attributes:
        room: where it judges.
        concurrency: how many submissions it judges at the same time.

    Args:
        ability: what it can judge.
        test: judges a bundled job; returns why that failed, empty if it passed.
        pause_s: seconds before the first self-test; doubled for each further one, up to a minute.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        room: Room,
        ability: Ability,
        concurrency: int,
        test: Callable[[], Awaitable[str]],
        pause_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.room = room
        self.concurrency = concurrency
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
        return self._out or self._ability.obstacle

    @property
    def slots(self) -> int:
        """How many submissions it judges at the same time; 0 while it takes none."""
        return 0 if self.reason else self.concurrency

    @property
    def lasting(self) -> Able:
        """What this worker can judge when it is well."""
        return self._ability.lasting

    def able(self) -> Able:
        """What this worker can judge now: nothing while it is out of service."""
        return {} if self._out else self._ability.look()

    def can_judge(self, problem: str, language: str, version: str | None = None) -> bool:
        """Whether this worker has what a submission needs, apart from being in service."""
        return self._ability.can_judge(problem, language, version)

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
            if complaint := await self._tested():
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

    async def _tested(self) -> str:
        try:
            return await self._test()
        except Exception as error:
            # A machine on which the test cannot even begin is not well.
            return f"{type(error).__name__}: {error}"


class Standstill:
    """Notices that the queue does not move, because the same submission stays the first one.

    Attributes:
        told: the submissions whose watchers know.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: int | None = None
        self._since = 0.0
        self.told: set[int] = set()

    def lasts(self, first: int | None) -> float:
        """Note which submission is first now, None if none is waiting. Returns for how many seconds it has been."""
        if first is None or first != self._first:
            self._first, self._since = first, self._clock()
            self.told.clear()
        return 0.0 if first is None else self._clock() - self._since


def service_of(
    judge: Judge,
    problems: Mapping[str, Problem],
    concurrency: int,
    limits: ServerLimits,
    *,
    tries_languages: bool = False,
    space: Callable[[], Space] = space_in_temporary_directory,
) -> Service:
    """A service that judges, tries languages and tests itself with this judge, all in one room.

    Args:
        problems: by slug, and other versions of them by `versioned`. They may change.
        tries_languages: whether languages are tried before they are used.
        space: see `Ability`.
    """
    room = Room(judge)
    tried = partial(try_out, room.judge)
    ability = Ability(problems, tried if tries_languages else None, space=space)
    return Service(room, ability, concurrency, lambda: tried(self_test()), limits.self_test_s)


def is_judging(service: Service | None) -> Callable[[], bool]:
    """Tells whether a process judges anything now; it does not if it has no service."""
    return lambda: service is not None and service.room.is_judging
