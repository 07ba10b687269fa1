"""What a gateway and a worker have in common when they start; every fault is a sentence and a hint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from subcli.judge import Problem, ProblemError, load_problems
from subcli.server.observe.metrics import Metrics
from subcli.server.settings import ServeError

if TYPE_CHECKING:
    from redis.asyncio import Redis


def find_problems(directory: Path | None) -> Mapping[str, Problem]:
    """The bundled problems and those in `directory`, by slug.

    Raises:
        ServeError: one cannot be used.
    """
    try:
        return load_problems(directory)
    except ProblemError as error:
        raise ServeError(f"A problem cannot be used: {error}.", "Correct it, then start again.") from error


def find_redis(url: str | None) -> Redis | None:
    """A client for the Redis at `url`, which need not be there yet.

    Raises:
        ServeError: the URL names no Redis.
    """
    if url is None:
        return None
    # Not imported for a server that is alone.
    from subcli.server.redis.connection import connect

    return connect(url)


def show_metrics(metrics: Metrics, host: str, port: int) -> Callable[[], None]:
    """Answer with the metrics at this address, until what is returned is called.

    Raises:
        ServeError: the address cannot be listened on.
    """
    try:
        return metrics.serve(host, port)
    except OSError as error:
        raise ServeError(
            f"Metrics cannot be shown at {host}:{port}: {error.strerror}.", "Name another --metrics-address."
        ) from error
