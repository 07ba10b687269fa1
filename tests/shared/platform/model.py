"""A model of what Windows does when it is called (:class:`subcli.shared.platform.windows.Api`)."""

from __future__ import annotations

import os
from collections import deque
from time import monotonic
from typing import Final

INHERITED: Final = "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;S-1-5-21-1-2-3-1001)"
"""What a file in a user's own directories usually has."""


class ModelApi:
    """Consoles, keys and access control lists, in memory.

    Args:
        consoles: the modes of those descriptors that are consoles.
        understands_escapes: whether they have the mode for escape sequences, as since Windows 10.

    Attributes:
        typed: the keys that wait.
        lists: the access control list of each file that got one.
        links: the paths that are links or junctions.
        asleep_s: how long the machine slept.
    """

    def __init__(self, consoles: dict[int, int] | None = None, *, understands_escapes: bool = True) -> None:
        self.consoles = consoles or {}
        self.typed: deque[str] = deque()
        self.lists: dict[str, str] = {}
        self.links: set[str] = set()
        self.asleep_s = 0.0
        self._understands_escapes = understands_escapes

    def console_mode(self, descriptor: int) -> int | None:
        return self.consoles.get(descriptor)

    def set_console_mode(self, descriptor: int, mode: int) -> bool:
        if descriptor not in self.consoles or (descriptor and mode & 4 and not self._understands_escapes):
            return False
        self.consoles[descriptor] = mode
        return True

    def key_waits(self) -> bool:
        return bool(self.typed)

    def read_key(self) -> str:
        return self.typed.popleft()

    def access_list(self, path: str) -> str:
        os.stat(path)
        return self.lists.get(path, INHERITED)

    def set_access_list(self, path: str, descriptor: str) -> None:
        os.stat(path)
        self.lists[path] = descriptor

    def is_link(self, path: str) -> bool:
        return path in self.links or os.path.islink(path)

    def awake_s(self) -> float:
        return monotonic() - self.asleep_s
