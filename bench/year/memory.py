"""The memory of each process over a run: at ten points, and whether it grows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

_POINTS: Final = 10
_FLAT: Final = 0.05
"""What grows by less than this share of itself counts as flat."""
_ENOUGH_THOUSANDS: Final = 1.0


@dataclass
class Memory:
    """Samples, each with how much work was done until then.

    Attributes:
        samples: thousands of submissions done, and for each process its id and its resident memory in KiB.
    """

    samples: list[tuple[float, Mapping[str, tuple[int, int]]]] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """A table, in MiB. A process that was started again is another one: its memory is marked with `*` then."""
        if not self.samples:
            return
        last = len(self.samples) - 1
        chosen = [round(number * last / (_POINTS - 1)) for number in range(_POINTS)] if last else [0]
        heads = "".join(f"{self.samples[each][0]:>8.1f}" for each in chosen)
        yield f"{'MiB after thousands':<21}{heads}   grows, KiB a thousand"
        for name in sorted({name for _, each in self.samples for name in each}):
            cells, before = "", 0
            for place in chosen:
                pid, kib = self.samples[place][1].get(name, (0, 0))
                mark = "*" if before and pid != before else ""
                cells += f"{f'{mark}{kib / 1024:.1f}' if kib else '-':>8}"
                before = pid or before
            yield f"{name:<21}{cells}   {self._growth(name)}"

    def _growth(self, name: str) -> str:
        """The slope over the second half of the longest life of a process, where it no longer warms up."""
        seen = [(done, *each[name]) for done, each in self.samples if name in each and each[name][1]]
        lives = [[(done, kib) for done, _, kib in life] for _, life in groupby(seen, lambda sample: sample[1])]
        longest = max(lives, key=len, default=[])
        late = longest[len(longest) // 2 :]
        slope = slope_of(late)
        over = late[-1][0] - late[0][0] if late else 0.0
        if slope is None or over < _ENOUGH_THOUSANDS:
            return "too short to tell"
        word = "flat" if slope * over < _FLAT * late[0][1] else "GROWS"
        return f"{word}: {slope:+.0f} over {over:.1f} thousand"


def slope_of(points: Sequence[tuple[float, float]]) -> float | None:
    """The slope of the line with the least squares; None if there is none."""
    if len(points) < 3:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else None
