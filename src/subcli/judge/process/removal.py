"""Removing what a submission leaves on disk, even if it tries to prevent that."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")
_log = logging.getLogger(__name__)


def remove_tree(directory: Path) -> None:
    """Remove `directory` and everything below it. Nothing is raised: what cannot be removed is logged.

    Nothing at all is removed if there is a mount point at or below `directory`: the files behind it are not ours.
    Symbolic links are not followed.

    A submission may create directories that cannot be entered, or that are nested deeper than Python's stack. Then
    `chmod` and `rm` remove them, which have no such limit.
    """
    if (mounted := mounted_below(directory)) is not None:
        _log.error("not removing %s: %s is a mount point", directory, mounted)
        return
    with suppress(OSError, RecursionError):
        shutil.rmtree(directory)
    if not directory.exists():
        return
    for command in (["chmod", "-R", "u+rwX", "--"], ["rm", "-rf", "--"]):
        subprocess.run([*command, str(directory)], check=False, capture_output=True)
    if directory.exists():
        _log.warning("cannot remove %s", directory)


def mounted_below(directory: Path) -> str | None:
    """A mount point at or below `directory` in this process's mount namespace, or None."""
    inside = f"{directory.resolve()}/"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4])
        if f"{point}/".startswith(inside):
            return point
    return None
