"""The user that a submission runs as if the judge is root: an unused one, different for every submission.

The kernel counts processes by user (RLIMIT_NPROC), and lets a user signal and trace its own processes. So each
submission gets a user id of its own. The ids come from a range that distributions, systemd and container engines leave
unused (systemd, "Users, Groups, UIDs and GIDs": 1879048192 … 2147352575). In a container with only the usual 65536 ids,
they come from between the system services and `nobody`.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Final

_HIGH: Final = range(1_900_000_000, 2_100_000_000)
_LOW: Final = range(65_520, 65_534)
_SLOTS: Final = 32
"""How many submissions one process judges at the same time, at most. Process ids have at most 22 bits."""
_numbers = itertools.count()


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
