"""What a server is started with, what it says when it is ready, and why it could not start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """The specification's limits ("Server Configuration") and ours. Times in seconds."""

    idle: float = 300.0
    """Without any message from the client for so long, its socket is closed with 1001."""
    heartbeat: float = 30.0
    connections: int = 10
    """Sockets on one submission; the next is closed with 4029."""
    retry_after: int = 5
    """What a client that was refused with 4029 is told to wait."""
    send: float = 10.0
    """How long a send may be blocked by a reader that does not read; then 1013."""
    tail_records: int = 1024
    """How many of a submission's latest events are kept in memory for its watchers."""
    tail_bytes: int = 1024 * 1024
    compare: float = 30.0
    """How often the position of a silent stream is compared with the log."""
    lease: float = 15.0
    """How long a worker owns a submission without renewing."""
    attempts: int = 10
    """How often a submission is judged before its verdict is `error`."""
    shutdown: float = 3.0
    """How long open connections may take to end after SIGTERM."""
    body_bytes: int = 2 * 1024 * 1024
    """The largest request body; 256 KiB of source may be six times as long in JSON."""


@dataclass(frozen=True)
class ServerSettings:
    """How a server runs.

    Attributes:
        data_dir: made if it is not there, readable by its owner only.
        port: 0 takes a free one.
        database: SQLAlchemy URL; by default a SQLite file in `data_dir`.
        problems_dir: an operator's own problems beside the bundled ones.
        concurrency: how many submissions are judged at the same time.
        stop_with_stdin: stop when standard input ends, so that a server never outlives the process that
            started it.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    database: str | None = None
    problems_dir: Path | None = None
    concurrency: int = 1
    limits: Limits = field(default_factory=Limits)
    stop_with_stdin: bool = False

    @property
    def database_url(self) -> str:
        """The URL of the database, `database` or the file in the data directory."""
        return self.database or f"sqlite:///{self.data_dir.absolute() / 'subcli.db'}"


@dataclass(frozen=True)
class Ready:
    """Where a server that has started is to be found. `database` shows no password."""

    url: str
    data_dir: Path
    database: str


class ServeError(Exception):
    """The server could not start. Carries `message` and `hint`, a sentence each."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"
