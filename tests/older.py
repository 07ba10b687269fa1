"""An older version of the program, from the history."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from subcli.server.log.tables import REVISION

_ROOT: Final = Path(__file__).parents[1]
_TABLES: Final = "src/subcli/server/log/tables.py"


def older_source(directory: Path) -> Path | None:
    """Extract the source of the last commit with another schema to a directory; None if the history has none."""
    for commit in _git("log", "--format=%H", "--", _TABLES).decode().split():
        found = re.search(rb'^REVISION: Final = "(\d+)"', _git("show", f"{commit}:{_TABLES}"), re.MULTILINE)
        if found and found[1].decode() < REVISION:
            # Our own history, not a stranger's archive.
            with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, "src"))) as archive:
                archive.extractall(directory)
            return directory / "src"
    return None


def _git(*words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True)
    return done.stdout if done.returncode == 0 else b""
