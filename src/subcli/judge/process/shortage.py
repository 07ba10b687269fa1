"""Errors that say that this machine, or this process, has too little of something."""

from __future__ import annotations

import errno
from typing import Final

_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS})
"""Of descriptors, memory or processes. Space on the disk is measured before anything is judged."""


def is_shortage(error: BaseException) -> bool:
    """Whether `error` means that there was too little of something, whatever was asked for."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES)
