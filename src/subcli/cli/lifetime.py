"""How long something shall be valid, or how old it is, as users type it."""

from __future__ import annotations

import re
from typing import Final

import typer

_LIFETIME: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])", re.ASCII)
_UNITS_S: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_MAX_S: Final = 366 * 86_400


def lifetime(text: str | int) -> int:
    """The seconds of a time such as ``30m``, ``12h``, ``90d`` or ``8w``.

    Raises:
        typer.BadParameter: It is none, or longer than a year.
    """
    seconds = duration(text)
    if seconds > _MAX_S:
        raise typer.BadParameter(f"{text!r} is too long: the longest is 366d.")
    return seconds


def duration(text: str | int) -> int:
    """The seconds of such a time, of any length.

    Raises:
        typer.BadParameter: It is none.
    """
    if isinstance(text, int):
        return text
    found = _LIFETIME.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a valid time. Examples: 12h, 90d, 8w.")
    return int(found[1]) * _UNITS_S[found[2]]
