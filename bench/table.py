"""The result of a row: figures line by line, and its targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.measure import Figure, Outcome


@dataclass(frozen=True)
class Line:
    """One contender. Without a figure, ``note`` says why."""

    name: str
    figure: Figure | None
    note: str = ""


@dataclass(frozen=True)
class Target:
    """One promise.

    Attributes:
        what: is promised.
        measured: in words.
        wanted: in words.
        reached: ``None`` where it could not be measured here.
    """

    what: str
    measured: str
    wanted: str
    reached: bool | None


@dataclass(frozen=True)
class Table:
    """One row of the page.

    Attributes:
        unit: of every figure.
        digits: behind the point.
        how: what was measured, and how.
        base: the contender that the others are divided by.
        remarks: what was found, and what stands in the way of a target that is not reached.
    """

    title: str
    unit: str
    how: str
    lines: tuple[Line, ...]
    targets: tuple[Target, ...]
    base: str = ""
    digits: int = 1
    remarks: str = ""


def lines_of(outcomes: Mapping[str, Outcome], notes: Mapping[str, str] | None = None) -> tuple[Line, ...]:
    """Convert outcomes to lines."""
    notes = notes or {}
    return tuple(
        Line(name, outcome.figure, outcome.why_not or notes.get(name, "")) for name, outcome in outcomes.items()
    )


def at_most(what: str, mine: Outcome, other: Outcome, limit: float) -> Target:
    """A target: at most this many times another figure."""
    return _compared(what, mine, other, limit, more=False)


def at_least(what: str, mine: Outcome, other: Outcome, limit: float) -> Target:
    """A target: at least this many times another figure."""
    return _compared(what, mine, other, limit, more=True)


def _compared(what: str, mine: Outcome, other: Outcome, limit: float, *, more: bool) -> Target:
    wanted = f"{'≥' if more else '≤'} {limit:g} ×"
    if mine.figure is None or other.figure is None:
        return Target(what, mine.why_not or other.why_not, wanted, None)
    pairs = mine.figure.over(other.figure)
    ratio = mine.figure.median / other.figure.median
    measured = f"{ratio:.2f} × ({pairs.low:.2f} … {pairs.high:.2f})"
    return Target(what, measured, wanted, ratio >= limit if more else ratio <= limit)


def below(what: str, value: float, limit: float, unit: str, digits: int = 1) -> Target:
    """A target: at most this value."""
    return Target(what, f"{value:.{digits}f} {unit}", f"≤ {limit:g} {unit}", value <= limit)
