"""What the routes and the sockets work with, made once for each server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from subcli.judge import Problem
from subcli.server.accounts.identity import Identities
from subcli.server.accounts.logins import Logins
from subcli.server.accounts.tokens import TokenIssuer
from subcli.server.jobs.queue import JobQueue
from subcli.server.limits import Limiter, Rate
from subcli.server.log.feed import Journal
from subcli.server.log.store import Store
from subcli.server.observe.metrics import Metrics
from subcli.server.run.shutdown import Lifecycle

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True)
class AuthServices:
    """What a server with logins has beyond one in demo mode."""

    logins: Logins
    tokens: TokenIssuer


@dataclass(frozen=True)
class Services:
    """The parts of one server. `auth` is None in demo mode; `submits` is how often one user may hand in."""

    store: Store
    journal: Journal
    queue: JobQueue
    problems: Mapping[str, Problem]
    identities: Identities
    auth: AuthServices | None
    limiter: Limiter
    submits: Rate
    redis: Redis | None
    metrics: Metrics
    lifecycle: Lifecycle
