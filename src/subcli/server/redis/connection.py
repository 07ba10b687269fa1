"""Redis by its URL: one way to connect, every wait bounded, and a URL to show that keeps its password.

redis-py takes a tenth of a second to import; so this module is imported only where Redis is used. Nobody relies
on Redis being there: a client is made without connecting, and every command may raise `RedisError`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError

from subcli.server.settings import ServeError

PATIENCE: Final = 1.0
"""Seconds to wait for a connection, and for an answer."""
_HEALTH_CHECK: Final = 15.0
"""A connection that was idle for so many seconds is tried with a PING before it is used."""
_CONNECTIONS: Final = 128
"""At once; who finds them all in use waits. redis-py's usual pool raises instead, as if Redis were away."""
_SCHEMES: Final = ("redis", "rediss", "unix")


def connect(url: str, *, patience: float = PATIENCE, retries: int = 1) -> Redis:
    """A client that connects when it is first used. Close it with `aclose()`.

    Args:
        url: `redis://[[user]:password@]host[:port][/db]`, `rediss://…` for TLS, or `unix://path?db=0`.
        patience: seconds to wait for an answer; longer for commands that block.
        retries: how often a command is sent again when its connection turns out to be broken, as all in the
            pool are when Redis was restarted.

    Raises:
        ServeError: the URL names no Redis.
    """
    try:
        _check(url)
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            socket_timeout=patience,
            socket_keepalive=True,
            health_check_interval=_HEALTH_CHECK,
            # Not after a timeout: then everything would take twice as long, and it is overloaded already.
            retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.1), retries, (ConnectionError,)),
            # No questions when connecting: what RESP2 has is all that is needed.
            protocol=2,
            driver_info=None,
            client_name="subcli",
        )
        return Redis.from_pool(pool)
    except (ValueError, TypeError) as error:
        raise ServeError(
            f"The Redis URL cannot be used: {shown(url)}.",
            "Give one such as redis://127.0.0.1:6379/0, or rediss://user:password@host for TLS.",
        ) from error


def listening(redis: Redis) -> Redis:
    """A client on the same Redis whose connections break aloud: a subscription that mends itself loses messages."""
    pool = redis.connection_pool
    options = {**pool.connection_kwargs, "retry": Retry(NoBackoff(), 0), "health_check_interval": 0}
    return Redis.from_pool(ConnectionPool(connection_class=pool.connection_class, **options))


def namespace(redis: Redis) -> str:
    """What all our keys and channels begin with. Pub/Sub knows no database numbers, so it has ours in it."""
    return f"subcli:{redis.connection_pool.connection_kwargs.get('db') or 0}:"


def _check(url: str) -> None:
    """Raises ValueError where it is no Redis URL; redis-py takes some that it cannot use."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not (parts.hostname or parts.scheme == "unix") or (parts.port or 1) < 1:
        raise ValueError(url)
    if parts.scheme != "unix" and parts.path.strip("/"):
        int(parts.path.strip("/"))


def shown(url: str) -> str:
    """`url` as it may be shown: without its password, and without its query, which may hold one."""
    try:
        parts = urlsplit(url)
        user = "***@" if parts.password or parts.username else ""
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, user + host, parts.path, "", ""))
    except ValueError:
        return "***"
