"""What the commands that run or manage a part of the server share: options, logging, the check for the extra."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import typer

from subcli.cli.common import Common, expanded, whole_number
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.server import ServerLimits

_MAX_DIGITS: Final = 7
"""of a limit."""
_NEEDED = (
    "fastapi",
    "uvicorn",
    "sqlalchemy",
    "alembic",
    "pytest",
    "argon2",
    "jwt",
    "prometheus_client",
    "psycopg",
    "redis",
)
INSTALL = "pip install 'subcli-watch[server]'"
_WSL: Final = {"Windows": "; in WSL, all of subcli works"}

Database: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="SUBCLI_DATABASE",
        show_envvar=True,
        callback=lambda url: url or None,
        help="Database, instead of a file in the data directory: postgresql+psycopg://USER@HOST/NAME.",
    ),
]
Problems: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--problems",
        metavar="DIR",
        envvar="SUBCLI_PROBLEMS",
        show_envvar=True,
        callback=expanded,
        help="Directory with more problems. What changes there takes effect within seconds.",
    ),
]
Languages: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--languages",
        metavar="FILE",
        callback=expanded,
        help="File with more languages. Default: languages.toml in --problems.",
    ),
]
SetLimit: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set-limit", metavar="NAME=N", help="Set a limit, such as logins-address=100."),
]
Concurrency: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        metavar="N",
        parser=whole_number(1),
        help="Judge this many at once. Default: the number of cores.",
    ),
]
RedisUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--redis",
        metavar="URL",
        envvar="SUBCLI_REDIS",
        show_envvar=True,
        callback=lambda url: url or None,
        help="Connect several servers and workers on one database: redis://HOST:PORT/0.",
    ),
]
SandboxChoice: TypeAlias = Annotated[
    Literal["auto", "bwrap", "none"],
    typer.Option(
        "--sandbox",
        metavar="SANDBOX",
        help="Isolate solutions: auto, bwrap or none. auto uses bubblewrap where others can submit code.",
    ),
]
SandboxRead: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--sandbox-read",
        metavar="PATH",
        help="Let solutions in the sandbox read this file or directory as well.",
    ),
]
LogFormat: TypeAlias = Annotated[
    Literal["text", "json"],
    typer.Option("--log-format", metavar="FORMAT", envvar="SUBCLI_LOG_FORMAT", help="Format of the log: text or json."),
]
LogLevel: TypeAlias = Annotated[
    Literal["debug", "info", "warning", "error"],
    typer.Option(
        "--log-level",
        metavar="LEVEL",
        envvar="SUBCLI_LOG_LEVEL",
        help="debug, info, warning or error. info logs every request and socket.",
    ),
]
AuditLog: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--audit-log",
        metavar="FILE",
        envvar="SUBCLI_AUDIT_LOG",
        show_envvar=True,
        callback=lambda path: path or None,
        help="Append logins, refusals, logouts, tokens and changes of users to this file, as JSON lines; - for stderr.",
    ),
]
MetricsAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--metrics-address",
        metavar="HOST:PORT",
        help="Serve Prometheus metrics here (unauthenticated; do not expose publicly).",
    ),
]


def require_server_extra(streams: Streams) -> None:
    """Check that a part of the server, or the judge, can run here.

    Args:
        streams: know on which system.

    Raises:
        UsageError: It runs on Linux only, or the server extra is not installed.
    """
    if not streams.platform.judges:
        raise UsageError(
            f"The server and the judge run on Linux only, and this is {streams.platform.name}.",
            hint=f"`--server URL` names a server that runs elsewhere{_WSL.get(streams.platform.name, '')}.",
        )
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"The server extra is not installed (missing: {', '.join(missing)}).", hint=INSTALL)


def default_data_dir() -> Path:
    """Where a server stores its data by default."""
    from platformdirs import user_data_path

    return user_data_path("subcli") / "server"


def data_directory(given: Path | None, database: str | None) -> Path:
    """The directory for a server's data.

    Args:
        given: on the command line, if any.
        database: of the command line; if none is named, it lies in the directory.

    Raises:
        UsageError: The address of a database cannot contain its path.
    """
    directory = given or default_data_dir()
    path = str(directory.absolute())
    if database is None and ("?" in path or any("\ud800" <= char <= "\udfff" for char in path)):
        raise UsageError(
            f"{directory} cannot hold the database: its path contains `?`, or bytes that are not UTF-8.",
            hint="Choose another with `--data-dir`.",
        )
    return directory


def given_or_in_file(streams: Streams, given: str | None, name: str) -> str | None:
    """A secret of a flag or variable, else the content of the file that the variable NAME_FILE names.

    Raises:
        UsageError: Both variables are set, or the file cannot be read, is empty, or is not text.
    """
    path = streams.env.get(f"{name}_FILE")
    if not path or (given and given != streams.env.get(name)):
        return given
    if given:
        # Somebody who changes a secret in one of two places would not notice which one counts.
        raise UsageError(f"{name} and {name}_FILE are both set.", hint="Unset one of them.")
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{path} cannot be read: {reason}.", hint=f"{name}_FILE names it.") from None
    if not text:
        raise UsageError(f"{path} is empty.", hint=f"{name}_FILE names it.")
    return text


def hide_environment() -> None:
    """Keep other processes of this user from reading the secrets in this one's environment and memory.

    Those in its environment stay readable in /proc/PID/environ when they are removed from `os.environ`.
    """
    if sys.platform == "linux":
        from subcli.judge.process.processes import hide_from_peers

        hide_from_peers()


def forget_secrets(streams: Streams) -> None:
    """Remove what is secret from the environment that children inherit. The URLs hold passwords."""
    for name in ("SUBCLI_DATABASE", "SUBCLI_REDIS", "SUBCLI_SECRET_KEY", "SUBCLI_ACCEPTED_KEY", "SUBCLI_TOKEN"):
        streams.env.pop(name, None)


def start_logging(
    common: Common, streams: Streams, form: Literal["text", "json"], level: Literal["debug", "info", "warning", "error"]
) -> None:
    """Log to stderr, replacing the handlers of `--debug`."""
    import logging

    from subcli.server.observe.logs import configure
    from subcli.settings.token import secrets_in

    logging.getLogger().handlers.clear()
    configure(form, "debug" if common.debug else level, secrets=tuple(secrets_in(streams.env)))


def start_audit_log(target: str | None) -> None:
    """Let the audit log go to a file of its own, or to stderr.

    Raises:
        UsageError: The file cannot be written to.
    """
    from subcli.server.observe.audit import write_to

    if target is None:
        return
    try:
        write_to(target)
    except OSError as error:
        raise UsageError(
            f"The audit log {target} cannot be written: {error.strerror}.", hint="Choose another --audit-log."
        ) from None


def address(text: str | None) -> tuple[str, int] | None:
    """Parse `HOST:PORT`; an IPv6 address stands in brackets.

    Raises:
        UsageError: It is not valid.
    """
    if text is None:
        return None
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdecimal() and int(port) <= 65535
    if not (colon and host and is_port):
        fault = ": its port is not a number from 0 to 65535" if colon and host else ""
        raise UsageError(f"{text!r} is not a valid HOST:PORT{fault}.", hint="Examples: 127.0.0.1:9464, [::1]:9464.")
    return host, int(port)


def limits_of(wanted: Sequence[str], **others: Any) -> ServerLimits:
    """The limits that ``--set-limit`` sets.

    Args:
        wanted: its values.
        others: more fields.

    Raises:
        UsageError: One of them is no limit, or no number.
    """
    from subcli.server.settings import ADJUSTABLE, ServerLimits

    changes: dict[str, Any] = {}
    for text in wanted:
        name, _, number = text.partition("=")
        if name not in ADJUSTABLE:
            raise UsageError(f"{name!r} is not a limit.", hint=f"Limits: {', '.join(ADJUSTABLE)}.")
        if not (number.isascii() and number.isdecimal() and len(number) <= _MAX_DIGITS and int(number)):
            raise UsageError(f"{number!r} is not a valid number for {name}.", hint=f"Example: --set-limit {name}=100.")
        changes[ADJUSTABLE[name]] = int(number)
    return ServerLimits(**others, **changes)
