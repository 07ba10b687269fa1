"""What a server is started with, what it says when it is ready, and why it could not start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from subcli.judge.sandbox import Sandbox
from subcli.shared.secret import Secret


@dataclass(frozen=True)
class ServerLimits:
    """The specification's limits ("Server Configuration") and ours. Times in seconds."""

    idle: float = 300.0
    """Without any message from the client for so long, its socket is closed with 1001."""
    heartbeat: float = 30.0
    connections: int = 10
    """Sockets on one submission; the next is closed with 4029."""
    retry_after: int = 5
    """What a client that found them all taken is told to wait."""
    slot_lease: float = 60.0
    """How long the sockets of a gateway that died are still counted by the others."""
    connects: int = 600
    """Sockets that one user may open within `rate_window`; then 4029. In demo mode there are no users to tell apart."""
    submits: int = 120
    """Submissions that one user may hand in within `rate_window`; then 429. Again not in demo mode."""
    rate_window: float = 60.0
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
    closing: float = 6.0
    """Over how long the sockets are closed at most after SIGTERM,"""
    closing_rate: float = 500.0
    """and how many a second as long as that is enough."""
    shutdown: float = 2.0
    """How long connections may take to end after that."""
    deadline: float = 9.5
    """A process that has not ended so long after SIGTERM ends at once, whatever holds it up."""
    body_bytes: int = 2 * 1024 * 1024
    """The largest request body; 256 KiB of source may be six times as long in JSON."""
    access_token: int = 900
    """How long an access token is good for (contract, section 6: 15 min)."""
    refresh_token: int = 30 * 86400
    """How long a login lasts without being used."""
    refresh_grace: float = 10.0
    """How long after its use a refresh token still gives its successor, for an answer that was lost."""
    watch_token: int = 55
    """How long a watch token is good for; with `leeway` still less than 60 s."""
    leeway: int = 2
    """By how much the clocks of two gateways may differ: a token is good for so much longer."""
    logins: int = 10
    """Attempts to log in to one account that may fail within `login_window`; then 429."""
    logins_address: int = 30
    """The same from one address."""
    login_window: float = 60.0


@dataclass(frozen=True)
class PasswordCost:
    """What one argon2id hash costs. By default the second choice of RFC 9106, section 4."""

    passes: int = 3
    memory_kib: int = 64 * 1024
    lanes: int = 4


@dataclass(frozen=True)
class Authentication:
    """A server that wants to know who is asking.

    Attributes:
        key: signs the tokens, 32 bytes or more; None for the one kept in the data directory.
        cost: of each password's hash.
    """

    key: Secret | None = None
    cost: PasswordCost = field(default_factory=PasswordCost)


@dataclass(frozen=True)
class ServerSettings:
    """How a server runs.

    Attributes:
        data_dir: made if it is not there, readable by its owner only.
        port: 0 takes a free one.
        database: SQLAlchemy URL; by default a SQLite file in `data_dir`.
        redis: URL of the Redis that joins several gateways and workers on one database; None: this process alone.
        problems_dir: an operator's own problems beside the bundled ones.
        concurrency: how many submissions are judged at the same time; 0 for none here.
        authentication: None for demo mode: no logins, and this machine only.
        allowed_origins: whose web pages may talk to it beside its own, as `https://host[:port]`.
        trusted_proxies: networks whose `X-Forwarded-For` and `-Proto` are believed, beside this machine's.
        metrics_address: host and port that show `/metrics` to whoever asks; None for none but this machine, at `port`.
        sandbox: under what solutions run; where people log in, `AUTO` starts only with a working one.
        stop_with_stdin: stop when standard input ends, so that a server never outlives the process that
            started it.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    database: str | None = None
    redis: str | None = None
    problems_dir: Path | None = None
    concurrency: int = 1
    limits: ServerLimits = field(default_factory=ServerLimits)
    authentication: Authentication | None = None
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    metrics_address: tuple[str, int] | None = None
    sandbox: Sandbox = Sandbox.AUTO
    stop_with_stdin: bool = False

    @property
    def database_url(self) -> str:
        """The URL of the database, `database` or the file in the data directory."""
        return self.database or f"sqlite:///{self.data_dir.absolute() / 'subcli.db'}"


@dataclass(frozen=True)
class WorkerSettings:
    """How a process that only judges runs.

    Attributes:
        database: SQLAlchemy URL, the servers' own.
        redis: URL, the servers' own.
        problems_dir: as the servers have them.
        concurrency: how many submissions are judged at the same time.
        metrics_address: where its metrics are shown, if anywhere.
        sandbox: under what solutions run. They are other people's: `AUTO` starts only with a working one.
    """

    database: str
    redis: str
    problems_dir: Path | None = None
    concurrency: int = 1
    limits: ServerLimits = field(default_factory=ServerLimits)
    metrics_address: tuple[str, int] | None = None
    sandbox: Sandbox = Sandbox.AUTO


@dataclass(frozen=True)
class WorkerReady:
    """What a worker that has started works on. The URLs show no password. `sandbox` as in `Ready`."""

    database: str
    redis: str
    concurrency: int
    sandbox: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """Where a server that has started is to be found. `database` shows no password.

    `sandbox` says what holds of the sandbox that it judges in, and what does not.
    """

    url: str
    data_dir: Path
    database: str
    sandbox: tuple[str, ...] = ()


class ServeError(Exception):
    """The server could not start. Carries `message` and `hint`, a sentence each."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"
