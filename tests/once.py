"""What is made once for all processes of a test run, by whichever needs it first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]) -> tuple[Path, Any]:
    """Make something in a directory, unless another process of this run has made it.

    Args:
        factory: Of the session.
        name: Of the directory.
        make: Fills the empty directory that it is given. What it returns has to be JSON.

    Returns:
        The directory, and what `make` returned in the process that made it.

    Raises:
        Exception: whatever `make` raises; the next process tries again in a directory of its own.
    """
    base = factory.getbasetemp()
    # Each process of pytest-xdist has a directory of its own in the one of the run.
    shared = base.parent if base.name.startswith("popen-gw") else base
    noted = shared / f"{name}.made"
    with FileLock(shared / f"{name}.lock"):
        if not noted.exists():
            place = factory.mktemp(name)
            noted.write_text(json.dumps([str(place), make(place)]))
        place, returned = json.loads(noted.read_text())
    return Path(place), returned
