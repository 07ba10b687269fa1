"""The user's directories for small files. Completion imports this module, so it imports nothing slow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal


def own_directory(kind: Literal["cache", "state"]) -> Path | None:
    """The directory for files that can be lost without harm, or ``None`` if there is no home directory.

    A home directory that does not exist is not created: it is a mistake, or a container that has none on purpose.
    """
    import platformdirs

    find = platformdirs.user_cache_path if kind == "cache" else platformdirs.user_state_path
    try:
        if not os.environ.get(f"XDG_{kind.upper()}_HOME") and not Path.home().is_dir():
            return None
        return find("subcli")
    except (RuntimeError, OSError, KeyError):
        return None
