"""Tests that mostly wait, run beside each other: the contract is full of delays, and a suite has four minutes.

A module marked ``side_by_side`` holds ordinary tests: async functions with a docstring, parametrised where that
helps, selected by ``-k`` like any other. They take the fixture ``command`` and parameters, and each gets a ``command``
with a home and a directory of its own. When the first of a group is run, all that were selected start, up to `AT_ONCE`
at a time, in its event loop; each then reports for itself how it ended.

Under xdist a group stays in one process. xdist's own groups (``--dist loadgroup``) write the group into ``_nodeid``,
which pytest 9.2 no longer has; hence a scheduler of our own, which reads the group from the id.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.hang import HANG_S
from tests.unmeasured import UNMEASURED

from .canaries import check_no_canary, environment
from .command import Commands

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling

AT_ONCE = 9
"""More processes starting at the same moment would blur what is measured."""

GROUPS = {
    "test_components.py": 1,
    "test_ends.py": 2,
    "test_faults.py": 4,
    "test_frames.py": 2,
    "test_other_platform.py": 2,
    "test_refusals.py": 3,
    "test_secrets.py": 2,
    "test_submit.py": 2,
    "test_terminal_title.py": 1,
    "test_waiting.py": 1,
}
"""The modules, and into how many groups the tests of each are divided; one where a fixture is costly."""

IN_ONE_PROCESS = None if {"SUBCLI_TEST_ALL", "SUBCLI_TEST_BACKENDS"} & set(os.environ) else "[postgresql"
"""What a default run has few tests of, and starts one server for."""

Outcome = BaseException | None


@dataclass
class Row:
    """One test of a group.

    Attributes:
        test: the function as it was written.
        parameters: what it is parametrised with.
    """

    item: pytest.Function
    test: Callable[..., Awaitable[None]]
    parameters: dict[str, Any]

    async def run(self, command: Commands) -> Outcome:
        """Run it once, and look for secrets in what it left."""
        try:
            async with asyncio.timeout(HANG_S):
                await self.test(command=command, **self.parameters)
            check_no_canary(command.printed, command.cwd)
        except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
            return error
        return None


@dataclass
class Group:
    """Tests that are run beside each other."""

    rows: list[Row] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    async def outcome(self, row: Row, command: Commands) -> Outcome:
        """How one of them ended. The first call runs all that are selected."""
        name = row.item.name
        if name not in self.outcomes:
            selected = set(row.item.session.items)
            await self._run([each for each in self.rows if each.item in selected], command)
        return self.outcomes.pop(name)

    async def _run(self, rows: Sequence[Row], command: Commands) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(row: Row) -> None:
            async with gate:
                directory = Path(tempfile.mkdtemp(prefix="row-", dir=command.cwd.parent))
                own = Commands({**environment(directory / "home"), **UNMEASURED}, directory)
                self.outcomes[row.item.name] = await row.run(own)

        await asyncio.gather(*map(one, rows))


def group_of(nodeid: str) -> str:
    """The group of a test; a test that is run alone is a group by itself."""
    if IN_ONE_PROCESS and IN_ONE_PROCESS in nodeid:
        return IN_ONE_PROCESS
    module = nodeid.partition("::")[0].rpartition("/")[2]
    return f"{module} {zlib.crc32(nodeid.encode()) % GROUPS[module]}" if module in GROUPS else nodeid


def scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """The scheduler of xdist that sends a group to one process, in the order in which tests were collected."""
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return GroupScheduling(config, log)


def prepare(items: Sequence[pytest.Item]) -> None:
    """Put the marked tests into groups.

    Args:
        items: the tests that were collected.
    """
    groups: defaultdict[str, Group] = defaultdict(Group)
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("side_by_side"):
            assert item.path.name in GROUPS, f"{item.path.name} is missing in GROUPS"
            _join(item, groups[group_of(item.nodeid)])


def _join(item: pytest.Function, group: Group) -> None:
    parameters = dict(item.callspec.params) if hasattr(item, "callspec") else {}
    test = item.obj
    taken = set(inspect.signature(test).parameters)
    assert taken <= {"command", *parameters}, f"{item.nodeid} takes more than `command` and parameters"
    row = Row(item, test, parameters)
    group.rows.append(row)

    @functools.wraps(test)
    async def report(command: Commands, **parameters: Any) -> None:
        outcome = await group.outcome(row, command)
        if outcome is not None:
            raise outcome

    item.obj = report
    item.add_marker(pytest.mark.long)
    item.add_marker(pytest.mark.timeout(2.5 * HANG_S))
