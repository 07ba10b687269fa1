"""Which submissions a feed still has to announce because they are judged again. Pure.

One whose run before has not been read to its end waits for that, so that a client gets one log after the other. The
number that a client is told, to resume after it, is below those of all that wait.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Final

from subcli.server.log.matching import Found, JudgedAgain

LOOKED_FOR_AT_ONCE: Final = 1000


class NewRuns:
    """Changes in place.

    Attributes:
        known_at_first: the latest number when the first list was made; None before that.
        is_stale: whether there may be new ones to look for.
        may_announce: whether one that has waited may be announced now.
    """

    def __init__(self) -> None:
        self.known_at_first: int | None = None
        self.is_stale = False
        self.may_announce = False
        self._from: int | None = None
        self._looked: int | None = None
        self._waiting: dict[int, JudgedAgain] = {}

    def begin(self, after: int | None) -> None:
        """Look for those after this number; None: for those that were not in the first list."""
        self._from = after
        self.is_stale = True

    @property
    def looked_up_to(self) -> int:
        """After which number to look."""
        if self._looked is not None:
            return self._looked
        known = self.known_at_first or 0
        return known if self._from is None else min(self._from, known)

    @property
    def announced_up_to(self) -> int | None:
        """After which number a client resumes; None before the first look."""
        if self._looked is None or not self._waiting:
            return self._looked
        return min(each.number for each in self._waiting.values()) - 1

    @property
    def must_look(self) -> bool:
        """Whether to look for more: not while many wait."""
        return self.is_stale and len(self._waiting) < LOOKED_FOR_AT_ONCE

    def found(self, new: Sequence[JudgedAgain], up_to: int) -> None:
        """Take the answer to a look."""
        self._looked = up_to
        self._waiting |= {each.found.id: each for each in new}
        self.is_stale = self.is_stale or len(new) == LOOKED_FOR_AT_ONCE

    def one_ended(self) -> None:
        """Note that a run was read to its end, or that there is room."""
        self.may_announce = bool(self._waiting)

    def take(self, reading: Container[int], followed: Mapping[int, str | None], room: int) -> list[Found]:
        """Return what may be announced, and forget it.

        Args:
            reading: submissions whose logs are being read.
            followed: the name of the log of each that was followed last.
            room: how many at most.
        """
        self.may_announce = False
        ready: list[Found] = []
        for number, each in list(self._waiting.items()):
            # The client may have named this very run.
            is_known = number in followed and followed[number] == each.found.epoch
            if is_known or (number not in reading and len(ready) < room):
                del self._waiting[number]
            if not is_known and number not in self._waiting:
                ready.append(each.found)
        return ready
