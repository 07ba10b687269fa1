"""Removing what a submission has left on disk, whatever it has done to keep that from happening."""

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
    """Remove `directory` and everything below it. What cannot be removed is logged.

    A submission may have made directories that nobody may enter, and others nested deeper than Python's own stack:
    then `chmod` and `rm` do it, which know no depth.
    """
    if (mounted := _mounted_below(directory)) is not None:
        # Its contents are somebody else's: what lies behind a mount is never removed.
        _log.error("%s is left as it is: %s is a mount point", directory, mounted)
        return
    with suppress(OSError, RecursionError):
        shutil.rmtree(directory)
    if not directory.exists():
        return
    for command in (["chmod", "-R", "u+rwX", "--"], ["rm", "-rf", "--"]):
        subprocess.run([*command, str(directory)], check=False, capture_output=True)
    if directory.exists():
        _log.warning("%s cannot be removed", directory)


def _mounted_below(directory: Path) -> str | None:
    """A mount point at or below `directory`, as this process sees it."""
    inside = f"{directory.resolve()}/"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4])
        if f"{point}/".startswith(inside):
            return point
    return None
