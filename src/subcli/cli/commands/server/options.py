"""What the commands that run a part of the server share: how it logs, and where it shows its metrics."""

from __future__ import annotations

import os
from typing import Annotated, Literal, TypeAlias

import typer

from subcli.cli.common import Common
from subcli.core.errors import UsageError

LogFormat: TypeAlias = Annotated[
    Literal["text", "json"],
    typer.Option("--log-format", envvar="SUBCLI_LOG_FORMAT", help="Log lines for people, or objects for machines."),
]
LogLevel: TypeAlias = Annotated[
    Literal["debug", "info", "warning", "error"],
    typer.Option("--log-level", envvar="SUBCLI_LOG_LEVEL", help="`info` has a line for each request and socket."),
]
MetricsAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--metrics-address",
        metavar="HOST:PORT",
        help="Serve Prometheus metrics here; unauthenticated, do not expose publicly.",
    ),
]


def start_logging(
    common: Common, form: Literal["text", "json"], level: Literal["debug", "info", "warning", "error"]
) -> None:
    """Log to stderr from now on, in place of what `--debug` has set up."""
    import logging

    from subcli.server.observe.logs import configure
    from subcli.settings.token import secrets_in

    logging.getLogger().handlers.clear()
    configure(form, "debug" if common.debug else level, secrets=tuple(secrets_in(os.environ)))


def address(text: str | None) -> tuple[str, int] | None:
    """`HOST:PORT`, an IPv6 address in brackets.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 <= int(port) <= 65535):
        raise UsageError(f"{text!r} is no address to listen on.", hint="Give one such as 127.0.0.1:9464 or [::1]:9464.")
    return host, int(port)
