"""How much happens in the year, and who submits what when."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.year.books import Entry
from bench.year.problems import CORRECTED, slug_of, some_solution

_WATCHED: Final = 100
"""One submission in so many is watched from its beginning to its verdict; in a short year, one in ten."""
_FEW: Final = 1000


@dataclass(frozen=True)
class Amounts:
    """How much happens.

    Attributes:
        submissions: in all three terms.
        corrected: how many of the first two are to the problem whose tests turn out to be wrong.
        upgrades: in autumn and in spring, or fewer in a short year.
        sample: how many submissions are read whole in a check.
    """

    students: int
    problems: int
    submissions: int
    corrected: int
    upgrades: int = 2
    sample: int = 50

    @property
    def terms(self) -> tuple[int, int, int]:
        """Submissions in autumn, in spring and in summer."""
        autumn, spring = self.submissions * 2 // 5, self.submissions * 7 // 20
        return autumn, spring, self.submissions - autumn - spring

    @property
    def late(self) -> int:
        """How many submissions come while the backup is made, and again after it."""
        return max(2, self.submissions // 200)


class Planner:
    """Makes submissions. The seed determines all of them.

    Args:
        names: of the students.
    """

    def __init__(self, amounts: Amounts, names: Sequence[str], seed: int) -> None:
        self._amounts = amounts
        self._names = names
        self._random = random.Random(seed)

    def terms(self) -> tuple[list[Entry], list[Entry], list[Entry]]:
        """The submissions of autumn, spring and summer."""
        amounts = self._amounts
        autumn, spring, summer = amounts.terms
        others = [slug for number in range(1, amounts.problems + 1) if (slug := slug_of(number)) != CORRECTED]
        early = [CORRECTED] * amounts.corrected
        early += [others[number % len(others)] for number in range(autumn + spring - len(early))]
        self._random.shuffle(early)
        entries = [self.entry(problem) for problem in early]
        late = [self.entry(slug_of(1 + number % amounts.problems)) for number in range(summer)]
        return entries[:autumn], entries[autumn:], late

    def entry(self, problem: str, *, is_watched: bool | None = None) -> Entry:
        """One submission; a few are watched unless it is said whether this one is."""
        chance = self._random
        if is_watched is None:
            is_watched = chance.randrange(_WATCHED if self._amounts.submissions > _FEW else _WATCHED // 10) == 0
        return Entry(chance.choice(self._names), problem, some_solution(chance), self.key(), is_watched=is_watched)

    def key(self) -> str:
        """A key that is unique."""
        return f"{self._random.getrandbits(64):016x}"
