"""``subcli serve``: run a server, and by default a worker in the same process."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from subcli.cli import exits
from subcli.cli.commands.server.options import (
    AuditLog,
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
    data_directory,
    default_data_dir,
    forget_secrets,
    given_or_in_file,
    hide_environment,
    limits_of,
    require_server_extra,
    start_audit_log,
    start_logging,
)
from subcli.cli.common import Common, command, whole_number, written
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.server import Authentication, Ready, ServerSettings


Host: TypeAlias = Annotated[str, typer.Option("--host", metavar="HOST", help="Address to listen on.")]
Port: TypeAlias = Annotated[
    int,
    typer.Option(
        "--port", metavar="PORT", parser=whole_number(0, 65535), help="Port to listen on; 0 picks a free one."
    ),
]
DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", callback=written, help="Where to store submissions."),
]
NoWorker: TypeAlias = Annotated[bool, typer.Option("--no-worker", help="Leave judging to `subcli worker`.")]
Auth: TypeAlias = Annotated[bool, typer.Option("--auth", help="Require logins (`subcli user add`). Allows any --host.")]
AllowOrigin: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--allow-origin", metavar="ORIGIN", help="Allow web pages of this origin to use the server."),
]
AccessTokenSeconds: TypeAlias = Annotated[
    int,
    typer.Option(
        "--access-token-seconds", metavar="N", parser=whole_number(1), hidden=True, help="Lifetime, for tests."
    ),
]
TrustedProxy: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--trusted-proxy",
        metavar="ADDRESS",
        help="Trust a proxy at this address or network, besides those on this machine.",
    ),
]
RootPath: TypeAlias = Annotated[
    str, typer.Option("--root-path", metavar="PATH", help="Path under which a proxy serves it, such as /judge.")
]
StopWithStdin: TypeAlias = Annotated[bool, typer.Option("--stop-with-stdin", hidden=True)]


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "serve", codes=exits.LOCAL, example="subcli serve --port 8000")
    def serve(
        common: Common,
        streams: Streams,
        host: Host = "127.0.0.1",
        port: Port = 8000,
        data_dir: DataDir = None,
        problems: Problems = None,
        languages: Languages = None,
        concurrency: Concurrency = None,
        no_worker: NoWorker = False,
        database: Database = None,
        redis: RedisUrl = None,
        auth: Auth = False,
        allow_origin: AllowOrigin = None,
        access_token_seconds: AccessTokenSeconds = 900,
        trusted_proxy: TrustedProxy = None,
        root_path: RootPath = "",
        set_limit: SetLimit = None,
        metrics_address: MetricsAddress = None,
        log_format: LogFormat = "text",
        log_level: LogLevel = "warning",
        audit_log: AuditLog = None,
        sandbox: SandboxChoice = "auto",
        sandbox_read: SandboxRead = None,
        stop_with_stdin: StopWithStdin = False,
    ) -> int:
        """Run a server on this machine."""
        hide_environment()
        require_server_extra(streams)
        from subcli.judge.sandbox import Sandbox
        from subcli.server import ServerSettings

        start_logging(common, streams, log_format, log_level)
        start_audit_log(audit_log)
        database = given_or_in_file(streams, database, "SUBCLI_DATABASE")
        redis = given_or_in_file(streams, redis, "SUBCLI_REDIS")
        settings = ServerSettings(
            data_dir=data_directory(data_dir, database),
            host=host,
            port=port,
            database=database,
            redis=redis,
            problems_dir=problems,
            languages=languages,
            concurrency=_concurrency(concurrency, redis, no_worker=no_worker),
            # Nobody can ask a server that ends with the command that started it.
            limits=limits_of(set_limit or (), access_token_s=access_token_seconds, keeps_traces=not stop_with_stdin),
            authentication=_authentication(streams) if auth else None,
            allowed_origins=tuple(_origin(text) for text in allow_origin or ()),
            trusted_proxies=tuple(_network(text) for text in trusted_proxy or ()),
            root_path=_root_path(root_path),
            metrics_address=address(metrics_address),
            sandbox=Sandbox(sandbox),
            sandbox_read=tuple(sandbox_read or ()),
            stop_with_stdin=stop_with_stdin,
        )
        forget_secrets(streams)
        return run(common, streams, settings)


def run(common: Common, streams: Streams, settings: ServerSettings) -> int:
    """Serve until a signal comes.

    Raises:
        UsageError: The server cannot start with these settings.
    """
    from subcli.server import ServeError
    from subcli.server.run.serve import run as run_server

    gc.enable()
    logins = settings.authentication is not None
    try:
        with streams.of_server():
            run_server(settings, on_ready=lambda ready: _print_ready(common, streams, ready, logins=logins))
    except ServeError as error:
        raise UsageError(error.message, hint=error.hint) from None
    return exits.OK


def _concurrency(wanted: int | None, redis: str | None, *, no_worker: bool) -> int:
    if not no_worker:
        from subcli.judge.sandbox.groups import usable_cores

        return wanted or usable_cores()
    if wanted is not None:
        raise UsageError("`--no-worker` and `--concurrency` exclude each other.", hint="Leave one of them out.")
    if redis is None:
        raise UsageError(
            "With `--no-worker` and without `--redis`, nothing would ever be judged.",
            hint="Give --redis and --database here and to `subcli worker`.",
        )
    return 0


def _authentication(streams: Streams) -> Authentication:
    from subcli.server import Authentication
    from subcli.shared.secret import Secret

    def key(name: str) -> Secret | None:
        found = given_or_in_file(streams, streams.env.get(name), name)
        return Secret(found) if found else None

    return Authentication(key("SUBCLI_SECRET_KEY"), key("SUBCLI_ACCEPTED_KEY"))


def _origin(text: str) -> str:
    from subcli.server.edge.origins import normalize_origin

    origin = normalize_origin(text)
    if origin is None:
        raise UsageError(f"{text!r} is not a valid origin.", hint="Example: https://judge.example:8443.")
    return origin


def _network(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise UsageError(
            f"{text!r} is not a valid address or network.", hint="Examples: 10.0.0.7, 172.30.74.0/24."
        ) from None


def _root_path(text: str) -> str:
    from subcli.server.settings import OWN_PATHS

    segments = text.strip("/").split("/") if text.strip("/") else []
    if any(not re.fullmatch(r"[A-Za-z0-9._~-]+", segment) or segment in (".", "..") for segment in segments):
        raise UsageError(f"{text!r} is not a valid path.", hint="Example: --root-path /judge.")
    if segments and segments[0] in OWN_PATHS:
        raise UsageError(
            f"--root-path cannot begin with /{segments[0]}, which is a path of the server itself.",
            hint="Example: --root-path /judge.",
        )
    return "".join(f"/{segment}" for segment in segments)


_DEMO = "demo mode: no logins, this machine only"
_LOGINS = "logins are required; put TLS in front"


def _print_ready(common: Common, streams: Streams, ready: Ready, *, logins: bool) -> None:
    token = "" if ready.page_token is None else f"?token={ready.page_token}"
    if common.json:
        streams.print_json(
            {
                "type": "ready",
                "url": ready.url,
                "data_dir": str(ready.data_dir),
                "database": ready.database,
                "pid": os.getpid(),
            }
        )
        return
    if common.quiet:
        streams.write(f"{ready.url}\n")
    else:
        streams.write(
            f"Serving on {ready.url}\n"
            f"  data in   {ready.data_dir}\n"
            f"  pages     {ready.url}/{token}\n"
            f"  API docs  {ready.url}/docs\n"
            f"  {_LOGINS if logins else _DEMO}\n"
            f"{''.join(f'  {line}{chr(10)}' for line in ready.sandbox)}"
            f"\nNext, in another terminal:\n"
            f"{_next_steps(ready, logins=logins)}"
            f"\nCtrl-C stops it; unfinished submissions are judged again at the next start.\n"
        )


def _next_steps(ready: Ready, *, logins: bool) -> str:
    server = "" if ready.url == "http://127.0.0.1:8000" else f" --server {ready.url}"
    submit = f"  subcli submit FILE --problem leader-election{server}\n"
    if not logins:
        return submit
    data_dir = "" if ready.data_dir == default_data_dir() else f" --data-dir {ready.data_dir}"
    return f"  subcli user add NAME{data_dir}\n  subcli auth login{server}\n{submit}"
