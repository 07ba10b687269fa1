"""Flags of the default output validator and of the default grader."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from subcli.judge.cases.model import Aggregation, Comparison, Verdicts

_TOLERANCES = ("float_relative_tolerance", "float_absolute_tolerance", "float_tolerance")


class BadFlag(ValueError):
    """A flag is not known, or its value is not valid. The text is a clause."""


def comparison(flags: Sequence[str]) -> Comparison:
    """What the flags ask of the built-in comparison.

    Raises:
        BadFlag: a flag is not known, or a tolerance is not a number.
    """
    case_sensitive = space_change_sensitive = False
    absolute: float | None = None
    relative: float | None = None
    waiting = iter(flags)
    for flag in waiting:
        if flag == "case_sensitive":
            case_sensitive = True
        elif flag == "space_change_sensitive":
            space_change_sensitive = True
        elif flag in _TOLERANCES:
            tolerance = _tolerance(flag, next(waiting, None))
            absolute = absolute if flag == "float_relative_tolerance" else tolerance
            relative = relative if flag == "float_absolute_tolerance" else tolerance
        else:
            raise BadFlag(f"has the flag {flag[:80]!r}, which the default output validator does not know")
    return Comparison(
        case_sensitive=case_sensitive,
        space_change_sensitive=space_change_sensitive,
        absolute_tolerance=absolute,
        relative_tolerance=relative,
    )


def _tolerance(flag: str, value: str | None) -> float:
    try:
        number = math.nan if value is None else float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise BadFlag(f"must give a number after the flag `{flag}`" + (f", not {value[:80]!r}" if value else ""))
    return number


@dataclass(frozen=True)
class DefaultGrader:
    """What the flags of the default grader say. The last one of contradicting ones counts."""

    verdicts: Verdicts = "worst_error"
    aggregation: Aggregation = "sum"
    ignores_samples: bool = False
    accepts_any: bool = False
    unknown: tuple[str, ...] = ()


def default_grader(flags: Sequence[str]) -> DefaultGrader:
    """What the flags ask of the default grader."""
    verdicts: Verdicts = "worst_error"
    aggregation: Aggregation = "sum"
    unknown: list[str] = []
    for flag in flags:
        match flag:
            case "worst_error" | "no_errors":
                verdicts = "worst_error"
            case "first_error" | "always_accept":
                verdicts = flag
            case "sum" | "avg" | "min" | "max":
                aggregation = flag
            case "ignore_sample" | "accept_if_any_accepted":
                pass
            case _:
                unknown.append(flag)
    return DefaultGrader(
        verdicts, aggregation, "ignore_sample" in flags, "accept_if_any_accepted" in flags, tuple(unknown)
    )
