"""Scenarios that mostly wait, run beside each other: section 7 is full of delays, and a suite has four minutes.

A scenario is an async function that is given the program to run. Each has a server of its own, so that they do
not know of each other; a failure names the scenario it happened in.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

from .command import Commands

Scenario = Callable[[Commands], Awaitable[None]]
SLACK_S = 4.0 + os.getloadavg()[0] / (os.cpu_count() or 1)
"""How much later than the contract's deadline something may happen: more on a machine that is loaded already."""

SCENARIO_S = 75.0
"""A scenario that takes longer hangs."""

AT_ONCE = 9
"""More processes starting at the same moment would blur what is measured."""


class Batch:
    """Scenarios, collected by using the object as a decorator."""

    def __init__(self) -> None:
        self.scenarios: list[Scenario] = []

    def __call__(self, scenario: Scenario) -> Scenario:
        """Add one."""
        self.scenarios.append(scenario)
        return scenario

    def part(self, number: int, of: int) -> Sequence[Scenario]:
        """Every ``of``-th scenario, from ``number`` on."""
        return self.scenarios[number::of]


async def together(scenarios: Sequence[Scenario], command: Commands, *, limit_s: float = SCENARIO_S) -> None:
    """Run scenarios beside each other.

    Raises:
        ExceptionGroup: of every failure, each with its scenario's name and first line.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(scenario: Scenario) -> Exception | None:
        async with gate:
            try:
                async with asyncio.timeout(limit_s):
                    await scenario(command)
            except Exception as error:
                doc = (scenario.__doc__ or "").splitlines()
                error.add_note(f"in {scenario.__name__}: {doc[0] if doc else ''}")
                return error
            return None

    failures = [error for error in await asyncio.gather(*map(one, scenarios)) if error is not None]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ExceptionGroup("several scenarios failed", failures)
