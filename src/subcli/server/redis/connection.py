"""Connecting to Redis: one way to do it, every wait bounded, and URLs that are shown without their password.

redis-py takes 0.1 s to import, so this module is imported only where Redis is used. Nothing relies on Redis being
there: making a client does not connect, and every command may raise `RedisError`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError

from subcli.server.settings import ServeError

TIMEOUT_S: Final = 1.0
"""How long to wait for a connection, and for an answer."""
_HEALTH_CHECK_INTERVAL_S: Final = 15.0
"""A connection that was idle for so long is checked with a PING before it is used."""
_MAX_CONNECTIONS: Final = 128
"""When all are in use, commands wait for one. redis-py's default pool raises instead, as if Redis were away."""
_SCHEMES: Final = ("redis", "rediss", "unix")


def connect(url: str, *, timeout_s: float = TIMEOUT_S, retries: int = 1) -> Redis:
    """Make a client that connects when it is first used. Close it with `aclose()`.

    Args:
        url: `redis://[[user]:password@]host[:port][/db]`, `rediss://…` for TLS, or `unix://path?db=0`.
        timeout_s: seconds to wait for an answer; must be longer for commands that block.
        retries: how often a command is repeated when its connection turns out to be broken, as all connections of
            the pool are after a restart of Redis.

    Raises:
        ServeError: the URL cannot be used.
    """
    try:
        _check(url)
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_MAX_CONNECTIONS,
            timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=timeout_s,
            socket_keepalive=True,
            health_check_interval=_HEALTH_CHECK_INTERVAL_S,
            # Not after a timeout: Redis is overloaded then, and everything would take twice as long.
            retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.1), retries, (ConnectionError,)),
            # RESP2 is sufficient and saves a round trip when connecting.
            protocol=2,
            driver_info=None,
            client_name="subcli",
        )
        return Redis.from_pool(pool)
    except (ValueError, TypeError) as error:
        raise ServeError(
            f"The Redis URL cannot be used: {shown(url)}.",
            "Use a URL such as redis://127.0.0.1:6379/0, or rediss://user:password@host for TLS.",
        ) from error


def listening(redis: Redis) -> Redis:
    """Make a client for subscriptions: it raises when its connection breaks. Reconnecting silently loses messages."""
    pool = redis.connection_pool
    options = {**pool.connection_kwargs, "retry": Retry(NoBackoff(), 0), "health_check_interval": 0}
    return Redis.from_pool(ConnectionPool(connection_class=pool.connection_class, **options))


def namespace(redis: Redis) -> str:
    """Return the prefix of our keys and channels. Pub/Sub ignores database numbers, so the prefix contains ours."""
    return f"subcli:{redis.connection_pool.connection_kwargs.get('db') or 0}:"


def _check(url: str) -> None:
    """Raise ValueError if it is not a valid Redis URL; redis-py accepts some that it cannot use."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not (parts.hostname or parts.scheme == "unix") or (parts.port or 1) < 1:
        raise ValueError(url)
    if parts.scheme != "unix" and parts.path.strip("/"):
        int(parts.path.strip("/"))


def shown(url: str) -> str:
    """Return `url` without its password, and without its query, which may contain one."""
    try:
        parts = urlsplit(url)
        user = "***@" if parts.password or parts.username else ""
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, user + host, parts.path, "", ""))
    except ValueError:
        return "***"
