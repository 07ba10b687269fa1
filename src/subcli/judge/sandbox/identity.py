"""The users that a submission runs as if the judge is root: unused ones, different for every submission and every node.

The kernel counts processes, pipes, signals and watches by user, and lets a user signal and trace its own processes. So
each submission gets a user id of its own for its builds and its files, and each of its nodes another one, in the group
of that number (`process/confine.py`). The ids come from a range that distributions, systemd and container engines leave
unused (systemd, "Users, Groups, UIDs and GIDs": 1879048192 … 2147352575). In a container with only the usual 65536 ids,
they come from between the system services and `nobody`.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Final

from subcli.judge.process.confine import FIRST_APART

_HIGH: Final = range(1_900_000_000, FIRST_APART)
_APART: Final = range(FIRST_APART, FIRST_APART + 2**22)
_LOW: Final = range(65_520, 65_534)
_SLOTS: Final = 32
"""How many submissions one process judges at the same time, at most. Process ids have at most 22 bits."""
_numbers = itertools.count()


def node_option(user: int) -> str:
    """How `confine` is told the user of a node of this submission; there may be no more than the submission's own."""
    return f"--apart={user}" if nodes_are_apart(user) else f"--user={user}"


def nodes_are_apart(user: int) -> bool:
    """Whether each node of this submission has a user of its own, so that a limit of its user is one of that node."""
    return user in _HIGH and _is_mapped(_APART)


def next_user() -> int | None:
    """The user id for the next submission; None if this process is not root and cannot change it.

    Raises:
        OSError: This process is root in a container without unused ids.
    """
    if os.geteuid() != 0:
        return None
    number = os.getpid() * _SLOTS + next(_numbers) % _SLOTS
    for numbers in (_HIGH, _LOW):
        if _is_mapped(numbers):
            return numbers[number % len(numbers)]
    raise OSError(0, "this container has no unused user id: its /proc/self/uid_map maps fewer than 65534 ids")


def _is_mapped(numbers: range) -> bool:
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= numbers[0] and numbers[-1] < first + count:
            return True
    return False
