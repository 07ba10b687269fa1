"""Comparable measurements on a machine whose speed varies: contenders take turns, and medians are compared.

A contender is a function that returns one sample per call. In each round every contender is called once, and the order
rotates by one, so that a slow machine affects all of them alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Contender = Callable[[], float]
BUDGET_S: Final = 60.0


class Failed(Exception):
    """A contender could not be measured. The message says why, for the table."""


@dataclass(frozen=True)
class Figure:
    """The samples of one contender, in the order of the rounds."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to report."""
        return statistics.median(self.samples)

    @property
    def low(self) -> float:
        """The lower quartile, or the minimum of fewer than four samples."""
        return _quartiles(self.samples)[0]

    @property
    def high(self) -> float:
        """The upper quartile, or the maximum of fewer than four samples."""
        return _quartiles(self.samples)[1]

    def over(self, other: Figure) -> Figure:
        """The ratio to another figure, round by round."""
        return Figure(tuple(a / b for a, b in zip(self.samples, other.samples, strict=False) if b))


def _quartiles(samples: Sequence[float]) -> tuple[float, float]:
    if len(samples) < 4:
        return min(samples), max(samples)
    quarters = statistics.quantiles(samples, n=4, method="inclusive")
    return quarters[0], quarters[2]


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least ``percent`` percent do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass(frozen=True)
class Outcome:
    """The result of one contender: a figure, or the reason why there is none."""

    figure: Figure | None
    why_not: str = ""


def in_turns(
    contenders: Mapping[str, Contender], *, rounds: int, warm_up: int = 1, budget_s: float = BUDGET_S
) -> dict[str, Outcome]:
    """Measure contenders against each other.

    Args:
        contenders: by the names that the table gives them.
        rounds: how often each is measured.
        warm_up: rounds before those, not counted.
        budget_s: no round is begun after so many seconds, but the first.

    Returns:
        An outcome for each; one that failed is not called again.
    """
    names = list(contenders)
    samples: dict[str, list[float]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    end = time.monotonic() + budget_s
    for number in range(-warm_up, rounds):
        if number > 0 and time.monotonic() > end:
            break
        turn = number % len(names) if names else 0
        for name in names[turn:] + names[:turn]:
            if name in failed:
                continue
            try:
                figure = contenders[name]()
            except Failed as error:
                failed[name] = str(error)
                continue
            if number >= 0:
                samples[name].append(figure)
    return {
        name: Outcome(None, failed.get(name, "not measured"))
        if name in failed or not samples[name]
        else Outcome(Figure(tuple(samples[name])))
        for name in names
    }
