"""Settings of servers and workers, what they report when ready, and the error if they cannot start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from subcli.judge.sandbox import Sandbox
from subcli.shared.secret import Secret


@dataclass(frozen=True)
class ServerLimits:
    """Limits and timeouts, from the specification ("Server Configuration") and our own. Times are in seconds."""

    idle_s: float = 300.0
    """A socket is closed with 1001 after this long without any message from the client."""
    heartbeat_s: float = 30.0
    """Interval of the WebSocket pings that the server sends."""
    connections: int = 10
    """Maximum sockets per submission; further ones are closed with 4029."""
    feeds: int = 10
    """Maximum feeds of a user; further ones are closed with 4029."""
    feed_submissions: int = 10_000
    """Maximum submissions that a feed follows at the same time; with more, it is closed with 4029."""
    retry_after_s: int = 5
    """The wait suggested to a client that exceeded `connections` or `feeds`."""
    slot_lease_s: float = 60.0
    """How long the other gateways keep counting the sockets of a gateway that died."""
    connects: int = 600
    """Sockets that a user may open within `rate_window_s`; then 4029. Not limited in demo mode, which has one user."""
    submits: int = 120
    """Submissions that a user may make within `rate_window_s`; then 429. Not limited in demo mode."""
    reads: int = 3000
    """Requests within `rate_window_s` by which a user may read submissions, results and logs; then 429,"""
    watch_tokens: int = 600
    """and those for a watch token, an access token or a link. Neither is limited in demo mode."""
    rate_window_s: float = 60.0
    """The time within which `connects`, `submits`, `reads` and `watch_tokens` count."""
    clients: int = 50_000
    """Connections of a process, if it has enough descriptors. Those that send nothing make room for new ones."""
    clients_address: int = 2_000
    """Connections from one network, and at most half of all. Not limited for proxies, which count for many."""
    send_s: float = 10.0
    """How long a client that does not read may block a send; then 1013."""
    tail_records: int = 1024
    """How many of a submission's latest events are kept in memory for its watchers,"""
    tail_bytes: int = 1024 * 1024
    """and how many bytes of them."""
    output_bytes: int = 1024 * 1024
    """How much of what a submission's build and tests print is stored, for those who ask for it; 0: nothing."""
    output_per_s: int = 64 * 1024
    """How many bytes of it in a second; where there is more, a marker says how much is not shown."""
    output_keep_s: int = 3600
    """How long after the verdict it is kept."""
    keeps_traces: bool = True
    """Whether it is kept how tests on several nodes failed, so that it can be drawn and replayed."""
    pack_after_s: int = 86400
    """How long after its verdict a submission's log is packed, and no log is within that of a change of the schema."""
    disk_free_percent: int = 5
    """With less than this share of the file system free, submissions are refused with 503; judging goes on."""
    compare_s: float = 30.0
    """How often the position of a silent stream is compared with the log."""
    presence_s: float = 10.0
    """How often a worker that judges for other processes says that it is there; after three times that, it is not."""
    lease_s: float = 12.0
    """How long a worker owns a submission without renewing the lease."""
    attempts: int = 10
    """How many workers may vanish while they judge a submission before its verdict is `error`."""
    tries: int = 3
    """How often a submission is tried before a failure of the judge becomes its verdict `error`."""
    retry_s: float = 5.0
    """How long the worker whose judge failed leaves a submission to others; twice as long after the second failure."""
    self_test_s: float = 1.0
    """How long a worker whose judge failed twice in a row waits before its first self-test; each next wait is twice as
    long, up to a minute."""
    standstill_s: float = 30.0
    """How long a submission must be the first of the queue, with no worker to take it, before its watchers are told."""
    closing_s: float = 6.0
    """Maximum time for closing all sockets gradually after SIGTERM."""
    closing_per_s: float = 500.0
    """Sockets closed per second; more if `closing_s` would be exceeded."""
    shutdown_s: float = 2.0
    """How long connections may take to end after their sockets were closed."""
    deadline_s: float = 9.5
    """A process that is still running this long after SIGTERM exits at once."""
    body_bytes: int = 2 * 1024 * 1024
    """Maximum request body; 256 KiB of source may be six times as large in JSON."""
    access_token_s: int = 900
    """Lifetime of an access token (contract, section 6: 15 min)."""
    refresh_token_s: int = 30 * 86400
    """Lifetime of a session that is not refreshed."""
    refresh_grace_s: float = 10.0
    """How long a used refresh token still returns its successor, in case the response was lost."""
    refreshes: int = 20
    """How often a session may be refreshed within `refresh_window_s`; then 429."""
    refresh_window_s: float = 600.0
    """The time within which `refreshes` count."""
    refresh_reuse_s: float = 7 * 86400.0
    """How long after its use a refresh token is kept, so that its reuse ends the session."""
    guesses: int = 300
    """Invalid refresh tokens, at refreshes and logouts, from one network within `login_window_s`; then 429,"""
    guesses_site: int = 1200
    """and from one IPv6 /56."""
    problem_mb: int = 256
    """How large a version of a problem may be that is stored in the database, or fetched from it."""
    problem_cache_mb: int = 1024
    """How much space versions take that are not in service, and that no waiting submission needs."""
    cleanup_s: float = 600.0
    """How often each gateway deletes expired sessions and tokens."""
    machine_tokens: int = 50
    """Access tokens for machines that a user may have at the same time; then 409."""
    machine_token_s: int = 366 * 86400
    """The longest lifetime of one."""
    machine_token_used_s: float = 60.0
    """How often the last use of one is recorded at most."""
    machine_token_kept_s: float = 90 * 86400.0
    """How long an expired one is kept, so that its user is told that it has expired."""
    links: int = 20
    """Links to one submission that work at the same time; then 409."""
    link_s: int = 366 * 86400
    """The longest lifetime of one."""
    watch_token_s: int = 55
    """Lifetime of a watch token; less than 60 s even with `leeway_s`."""
    session_check_s: float = 2.0
    """How often each gateway looks for sessions that have ended, to close their sockets with 4003."""
    leeway_s: int = 2
    """How far the clocks of gateways may differ; extends the lifetime of tokens."""
    logins: int = 10
    """Failed login attempts within `login_window_s` on an account from one network; then 429. The same from one browser
    with which somebody has logged in before."""
    logins_address: int = 30
    """Failed login attempts from one network (an IPv4 address or IPv6 /64), whatever the account,"""
    logins_site: int = 120
    """and from one IPv6 /56."""
    logins_account: int = 30
    """Failed login attempts on an account from all networks before further ones are delayed,"""
    login_delay_s: float = 2.0
    """and by how long. Nobody is refused because of what others do elsewhere."""
    login_window_s: float = 60.0
    """The time within which failed logins and `guesses` count."""
    device_token_s: int = 365 * 86400
    """How long a browser counts as one with which somebody has logged in before."""
    hashes: int = 2
    """Passwords that are hashed at the same time,"""
    hash_queue: int = 256
    """and how many logins may wait for it; then 503."""


ADJUSTABLE: Final = {
    name.replace("_", "-"): name
    for name in (
        "clients",
        "clients_address",
        "connects",
        "submits",
        "reads",
        "watch_tokens",
        "logins",
        "logins_address",
        "logins_site",
        "logins_account",
        "hashes",
        "hash_queue",
        "refreshes",
        "guesses",
        "guesses_site",
        "output_bytes",
        "output_per_s",
        "output_keep_s",
        "problem_mb",
        "problem_cache_mb",
        "pack_after_s",
        "disk_free_percent",
    )
}
"""The limits that an operator may set (`--set-limit`), and their fields."""


OWN_PATHS: Final = frozenset(
    {
        *("api", "attempts", "docs", "healthz", "login", "logout", "metrics", "openapi.json", "problems", "readyz"),
        *("static", "submissions", "ws"),
    }
)
"""How the server's own paths begin. A prefix that begins so would be taken off them."""


@dataclass(frozen=True)
class PasswordCost:
    """The cost of an argon2id hash.

    The default is what OWASP's Password Storage Cheat Sheet asks for at least: 0.04 s of a core and 19 MiB. The second
    recommendation of RFC 9106, section 4 costs six times as much, so a class of 200 that logs in at once would keep two
    cores busy for 23 s. Hashes made at another cost are replaced at the next login.
    """

    passes: int = 2
    memory_kib: int = 19 * 1024
    lanes: int = 1


@dataclass(frozen=True)
class Authentication:
    """Settings of a server with logins.

    Attributes:
        key: signs tokens, at least 32 bytes; None for the key in the data directory.
        accepted_key: what it has signed is accepted as well, while keys are being changed; None for the one in the data
            directory, if there is one.
        cost: the cost of password hashes.
    """

    key: Secret | None = None
    accepted_key: Secret | None = None
    cost: PasswordCost = field(default_factory=PasswordCost)


@dataclass(frozen=True)
class ServerSettings:
    """Settings of a server.

    Attributes:
        data_dir: created if missing, readable only by its owner.
        host: the address to listen on.
        port: 0 for any free port.
        database: SQLAlchemy URL; by default a SQLite file in `data_dir`.
        redis: URL of the Redis that connects several gateways and workers on one database; None for a single process.
        problems_dir: the operator's problems, in addition to the bundled ones.
        languages: the operator's file of languages; default: the `languages.toml` in `problems_dir`, if there is one.
        concurrency: how many submissions are judged at the same time; 0 for none in this process.
        limits: limits and timeouts.
        authentication: None for demo mode: no logins, and only for this machine.
        allowed_origins: origins that may use the server in addition to its own, as `https://host[:port]`.
        trusted_proxies: networks whose `X-Forwarded-For` and `-Proto` are trusted, in addition to loopback.
        root_path: the path below which a proxy shows the server, as `/judge`; empty for none.
        metrics_address: host and port that serve `/metrics` without authentication; None to serve them only to this
            machine, on `port`.
        sandbox: how solutions are isolated. With `AUTO`, a server with logins refuses to start without a sandbox.
        sandbox_read: files and directories that solutions in a sandbox may read besides what their languages need.
        stop_with_stdin: stop when standard input ends, so that the server does not outlive the process that
            started it.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    database: str | None = None
    redis: str | None = None
    problems_dir: Path | None = None
    languages: Path | None = None
    concurrency: int = 1
    limits: ServerLimits = field(default_factory=ServerLimits)
    authentication: Authentication | None = None
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    root_path: str = ""
    metrics_address: tuple[str, int] | None = None
    sandbox: Sandbox = Sandbox.AUTO
    sandbox_read: tuple[Path, ...] = ()
    stop_with_stdin: bool = False

    @property
    def database_url(self) -> str:
        """The database's URL: `database`, or the SQLite file in the data directory."""
        return self.database or f"sqlite:///{self.data_dir.absolute() / 'subcli.db'}"


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of a process that only judges.

    Attributes:
        database: SQLAlchemy URL of the servers' database.
        redis: URL of the servers' Redis.
        problems_dir: the same problems as the servers have.
        languages: the same file of languages as the servers have.
        data_dir: where the copy of the problems is kept while the worker runs; default: the temporary directory.
        concurrency: how many submissions are judged at the same time.
        limits: limits and timeouts.
        metrics_address: host and port that serve `/metrics` without authentication; None for nowhere.
        sandbox: how solutions are isolated. With `AUTO`, the worker refuses to start without a sandbox.
        sandbox_read: as for a server.
    """

    database: str
    redis: str
    problems_dir: Path | None = None
    languages: Path | None = None
    data_dir: Path | None = None
    concurrency: int = 1
    limits: ServerLimits = field(default_factory=ServerLimits)
    metrics_address: tuple[str, int] | None = None
    sandbox: Sandbox = Sandbox.AUTO
    sandbox_read: tuple[Path, ...] = ()


@dataclass(frozen=True)
class WorkerReady:
    """What a worker is connected to. The URLs do not contain passwords. `sandbox` as in `Ready`."""

    database: str
    redis: str
    concurrency: int
    sandbox: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """How to reach a running server.

    Attributes:
        database: URL without the password.
        page_token: in demo mode, what the address of a page carries so that it may change something.
        sandbox: sentences on what the judge's sandbox does and does not protect from.
    """

    url: str
    data_dir: Path
    database: str
    page_token: str | None = None
    sandbox: tuple[str, ...] = ()


class ServeError(Exception):
    """The server cannot start. Carries `message` and `hint`, a sentence each."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"
