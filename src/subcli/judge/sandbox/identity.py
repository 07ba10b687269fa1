"""The user that a submission runs as where root judges: one that nobody else is, another for every submission.

The kernel counts processes by user (RLIMIT_NPROC), and lets a user signal and trace its own. So each submission that
is being judged gets a number of its own. The numbers lie where neither distributions, systemd nor container engines
give any out (systemd's "Users, Groups, UIDs and GIDs": 1879048192 … 2147352575 are unused). Where a container has
only the usual 65536, they lie between what is given to services and `nobody`.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Final

_HIGH: Final = range(1_900_000_000, 2_100_000_000)
_LOW: Final = range(65_520, 65_534)
_SLOTS: Final = 32
"""Submissions that one process judges at the same time, at most; the kernel's process ids have 22 bits."""
_numbers = itertools.count()


def next_user() -> int | None:
    """A user for the next submission; None where this process is not root and stays who it is.

    Raises:
        OSError: this process is root in a container that has no number to spare.
    """
    if os.geteuid() != 0:
        return None
    number = os.getpid() * _SLOTS + next(_numbers) % _SLOTS
    for numbers in (_HIGH, _LOW):
        if _is_mapped(numbers):
            return numbers[number % len(numbers)]
    raise OSError(0, "this container has no user to spare: its /proc/self/uid_map has less than 65534 numbers")


def _is_mapped(numbers: range) -> bool:
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= numbers[0] and numbers[-1] < first + count:
            return True
    return False
