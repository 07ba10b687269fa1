"""Where a user's small files may lie: nowhere, if there is no home. Imports nothing that TAB would wait for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal


def own_directory(kind: Literal["cache", "state"]) -> Path | None:
    """The directory for files that nobody misses; ``None`` where there is no home.

    A home that does not exist is not made: it is somebody's mistake, or a container that has none on purpose.
    """
    import platformdirs

    find = platformdirs.user_cache_path if kind == "cache" else platformdirs.user_state_path
    try:
        if not os.environ.get(f"XDG_{kind.upper()}_HOME") and not Path.home().is_dir():
            return None
        return find("subcli")
    except (RuntimeError, OSError, KeyError):
        return None
