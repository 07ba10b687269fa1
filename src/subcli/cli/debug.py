"""``--debug`` and ``SUBCLI_DEBUG``: a log on stderr that is safe to paste into a public issue.

Channels, as the specification's ``localStorage.debug`` has them: ``socket:state`` (the ready state 0 to 3
with its name at each change), ``socket:frame``, ``http``, ``retry``; ``socket:*`` selects all of one kind.
"""

from __future__ import annotations

import fnmatch
import logging
import time
from typing import Final, TextIO

from subcli.shared.secret import RedactingFilter, Secret

# Their records hold URLs and headers with tokens, and add nothing to our own channels.
_SILENT: Final = ("asyncio", "httpcore", "httpx", "markdown_it", "websockets")


class _Channels(logging.Filter):
    def __init__(self, patterns: list[str]) -> None:
        super().__init__()
        self._patterns = patterns

    def filter(self, record: logging.LogRecord) -> bool:
        channel = channel_of(record.name)
        return any(fnmatch.fnmatchcase(channel, pattern) for pattern in self._patterns)


class _Line(logging.Formatter):
    """``+0.123 socket:state  1 OPEN``."""

    def __init__(self) -> None:
        super().__init__()
        self._started = time.time()

    def format(self, record: logging.LogRecord) -> str:
        from subcli.output.printable import printable

        text = printable(super().format(record)).replace("\n", "\n    ")
        return f"+{record.created - self._started:.3f} {channel_of(record.name):<13} {text}"


def channel_of(logger: str) -> str:
    """The channel of a logger: ``subcli.socket.state`` → ``socket:state``."""
    return logger.removeprefix("subcli.").replace(".", ":")


def switch_on(channels: str, stream: TextIO, *secrets: Secret) -> None:
    """Log the channels.

    Args:
        channels: comma-separated patterns; empty, ``1`` and ``*`` are all of them.
        stream: where to log.
        secrets: redacted literally, in addition to everything that looks like a secret.
    """
    patterns = [pattern.strip() for pattern in channels.split(",") if pattern.strip()]
    patterns = [f"{p}*" if p == "socket" else p for p in patterns if p not in ("1", "true")] or ["*"]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Line())
    # On the handler: a logger's filters do not see the records of its children.
    handler.addFilter(_Channels(patterns))
    handler.addFilter(RedactingFilter(*secrets))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for library in _SILENT:
        logging.getLogger(library).setLevel(logging.WARNING)
