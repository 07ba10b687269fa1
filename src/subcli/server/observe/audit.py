"""The audit log: who came in or was refused, left, made tokens or links, or was changed as a user; when and from where.

Each line is an object: `time`, `message` (what was done), `outcome`, and where they apply `user`, `client` (the
address), `by` (the operator's account on this machine), `session` (the beginning of its id), `submission`, `reason`,
`request`, `role` and the one `before`, a `group` of users, `token_name` and `scope` of an access token, and how many
`submissions` or `links`. No line holds a secret. What was typed as a user's name is not written if there is no such
user, because it may be a password.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from typing import Any, Final, Literal, TypeAlias

from subcli.server.observe import logs

Outcome: TypeAlias = Literal["granted", "refused", "reused", "done"]

_log: Final = logging.getLogger("subcli.audit")
_SHOWN_OF_SESSION: Final = 8
TO_STDERR: Final = "-"


def write_to(target: str) -> None:
    """Write the audit log to a file of its own, or to stderr, which is the journal under systemd; as JSON lines.

    Without this, its records go where all others do, at the level `info`.

    Args:
        target: a path, or `TO_STDERR`. The file is made with mode 0600, and again once it was moved away.

    Raises:
        OSError: the file cannot be written to.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr) if target == TO_STDERR else _PrivateFile(target)
    logs.prepare(handler, "json")
    stop()
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False


def stop() -> None:
    """Undo `write_to`."""
    for handler in _log.handlers[:]:
        _log.removeHandler(handler)
        handler.close()
    _log.setLevel(logging.NOTSET)
    _log.propagate = True


def record(what: str, outcome: Outcome, *, session: str | None = None, **more: Any) -> None:
    """Write a line.

    Args:
        session: its id.
        more: the other fields; None for those that are not known.
    """
    shown = None if session is None else session[:_SHOWN_OF_SESSION]
    _log.info(what, extra={"outcome": outcome, "session": shown, **more})


class _PrivateFile(logging.handlers.WatchedFileHandler):
    """A file that only its owner reads, and that a log rotation may move away."""

    def __init__(self, path: str) -> None:
        super().__init__(path, encoding="utf-8")

    def _open(self) -> Any:
        return open(self.baseFilename, "a", encoding="utf-8", opener=_open_private)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
