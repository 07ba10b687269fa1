"""``subcli worker``: judge the submissions of servers that share a database."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from subcli.cli import exits
from subcli.cli.commands.server.options import (
    Concurrency,
    Database,
    Languages,
    LogFormat,
    LogLevel,
    MetricsAddress,
    Problems,
    RedisUrl,
    SandboxChoice,
    SandboxRead,
    SetLimit,
    address,
    default_data_dir,
    forget_secrets,
    given_or_in_file,
    hide_environment,
    limits_of,
    require_server_extra,
    start_logging,
)
from subcli.cli.common import Common, command, written
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.server import WorkerReady

DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="DIR", callback=written, help="Where to keep a copy of the problems while running."
    ),
]


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(
        app,
        "worker",
        codes=exits.LOCAL,
        example="subcli worker --database postgresql+psycopg://judge@db/subcli --redis redis://cache/0 --concurrency 4",
    )
    def worker(
        common: Common,
        streams: Streams,
        database: Database = None,
        redis: RedisUrl = None,
        data_dir: DataDir = None,
        problems: Problems = None,
        languages: Languages = None,
        concurrency: Concurrency = None,
        sandbox: SandboxChoice = "auto",
        sandbox_read: SandboxRead = None,
        set_limit: SetLimit = None,
        metrics_address: MetricsAddress = None,
        log_format: LogFormat = "text",
        log_level: LogLevel = "warning",
    ) -> int:
        """Judge submissions for servers that share a database."""
        hide_environment()
        require_server_extra(streams)
        from subcli.judge.sandbox import Sandbox
        from subcli.judge.sandbox.groups import usable_cores
        from subcli.server import ServeError, WorkerSettings
        from subcli.server.run.worker import run_worker

        database = given_or_in_file(streams, database, "SUBCLI_DATABASE")
        redis = given_or_in_file(streams, redis, "SUBCLI_REDIS")
        missing = [name for name, value in (("--database", database), ("--redis", redis)) if value is None]
        if database is None or redis is None:
            raise UsageError(
                f"A worker needs {' and '.join(missing)}.",
                hint="Use the same as for `subcli serve`, or set SUBCLI_DATABASE and SUBCLI_REDIS.",
            )
        start_logging(common, streams, log_format, log_level)
        forget_secrets(streams)
        settings = WorkerSettings(
            database=database,
            redis=redis,
            problems_dir=problems,
            languages=languages,
            data_dir=data_dir or _default_data_dir(),
            concurrency=concurrency or usable_cores(),
            limits=limits_of(set_limit or ()),
            metrics_address=address(metrics_address),
            sandbox=Sandbox(sandbox),
            sandbox_read=tuple(sandbox_read or ()),
        )
        try:
            gc.enable()
            with streams.of_server():
                run_worker(settings, on_ready=lambda ready: _print_ready(common, streams, ready))
        except ServeError as error:
            raise UsageError(error.message, hint=error.hint) from None
        return 0


def _default_data_dir() -> Path | None:
    """The server's data directory; ``None`` if it cannot be created, as in a container without a home directory."""
    from subcli.server import ServeError
    from subcli.server.run.startup import make_data_dir

    directory = default_data_dir()
    try:
        make_data_dir(directory)
    except ServeError:
        return None
    return directory


def _print_ready(common: Common, streams: Streams, ready: WorkerReady) -> None:
    if common.json:
        streams.print_json(
            {
                "type": "working",
                "database": ready.database,
                "redis": ready.redis,
                "concurrency": ready.concurrency,
                "pid": os.getpid(),
            }
        )
    elif not common.quiet:
        many = "one submission" if ready.concurrency == 1 else f"{ready.concurrency} submissions"
        streams.write(
            f"Judging {many} at a time from {ready.database}, notified by {ready.redis}; "
            "Ctrl-C returns unfinished submissions to the queue.\n"
            f"{''.join(f'  {line}{chr(10)}' for line in ready.sandbox)}"
        )
