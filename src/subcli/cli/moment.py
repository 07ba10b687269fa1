"""A moment in the past, as users type it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final

import typer

_AGO: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])", re.ASCII)
_UNITS_S: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def moment(text: str) -> str:
    """A moment such as ``90m``, ``7d`` (so long ago), ``2026-11-28`` or ``2026-11-28T18:00``, as ISO 8601 in UTC.

    Times without a zone are this machine's.

    Raises:
        typer.BadParameter: It is none.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            found = datetime.fromtimestamp(time.time() - int(ago[1]) * _UNITS_S[ago[2]], UTC)
        else:
            found = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(f"{text!r} is not a valid time. Examples: 7d, 2026-11-28, 2026-11-28T18:00.") from None
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")
