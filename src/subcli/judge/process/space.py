"""The space in the judge's temporary directory. Running out of it is the judge's fault, not a submission's."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from subcli.judge.problem import ResourceLimits

_MEGABYTE = 1024 * 1024
_EXHAUSTED_MB = 1
_EXHAUSTED_FILES = 16
_WORDS = re.compile(r"no space left on device|\bENOSPC\b|disk quota exceeded|disk full", re.IGNORECASE)
"""What programs say to ENOSPC and EDQUOT, and Node to both."""


@dataclass(frozen=True)
class Space:
    """How many MB, and how many files, still fit somewhere."""

    mb: float
    files: float

    @staticmethod
    def in_directory(directory: Path) -> Space:
        """What an unprivileged user can still write there.

        Raises:
            OSError: the directory is not there.
        """
        there = os.statvfs(directory)
        # Some file systems have no fixed number of files and tell 0.
        return Space(there.f_bavail * there.f_frsize / _MEGABYTE, there.f_favail if there.f_files else math.inf)

    def lacks(self, limits: ResourceLimits, more_mb: int = 0) -> str:
        """What is missing to hold what `limits` allow, and `more_mb`; empty if nothing is."""
        needed = limits.disk_mb + more_mb
        if self.mb < needed:
            return f"{self.mb:.0f} MB are free, and {needed} MB are needed"
        if self.files < limits.files:
            return f"there is room for {self.files:.0f} files, and {limits.files} are needed"
        return ""


class SpaceWatch:
    """The least space that there was in a directory, at the moments of a look.

    Args:
        directory: where a submission is built.
        limits: what it may write.
    """

    def __init__(self, directory: Path, limits: ResourceLimits) -> None:
        self._directory = directory
        self._limits = limits
        self._least = Space(math.inf, math.inf)

    def look(self) -> None:
        """Note how much space there is now."""
        with suppress(OSError):
            now = Space.in_directory(self._directory)
            self._least = Space(min(now.mb, self._least.mb), min(now.files, self._least.files))

    def explains(self, log: str) -> str:
        """Why a program that wrote `log` and failed did so for lack of the judge's space; empty if it did not.

        Its words alone prove nothing: it may have filled what it was given, or print them itself.
        """
        return self._least.lacks(self._limits) if _WORDS.search(log) else ""

    @property
    def was_exhausted(self) -> bool:
        """Whether there was practically none left."""
        return self._least.mb < _EXHAUSTED_MB or self._least.files < _EXHAUSTED_FILES
