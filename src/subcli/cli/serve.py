"""``subcli serve``: the server half. Without the extra, one line that names the install command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from subcli.cli.common import Common, command, print_json
from subcli.errors import UsageError

if TYPE_CHECKING:
    from subcli.server import Ready

INSTALL = "pip install 'subcli-watch[server]'"


def register(app: typer.Typer) -> None:
    """Put the command into the tree."""

    @command(app, "serve", example="subcli serve --port 8000")
    def serve(
        common: Common,
        host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
        port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8000,
        data_dir: Annotated[
            Path | None, typer.Option("--data-dir", metavar="DIR", help="Where submissions are kept.")
        ] = None,
        problems: Annotated[
            Path | None, typer.Option("--problems", metavar="DIR", help="More problems, beside the bundled ones.")
        ] = None,
        concurrency: Annotated[int, typer.Option("--concurrency", metavar="N", min=1, help="Judged at once.")] = 1,
        stop_with_stdin: Annotated[bool, typer.Option("--stop-with-stdin", hidden=True)] = False,
    ) -> int:
        """Run the server half on this machine."""
        require_server_extra()
        from subcli.server import ServeError, ServerSettings
        from subcli.server.main import run

        settings = ServerSettings(
            data_dir=data_dir or default_data_dir(),
            host=host,
            port=port,
            database=os.environ.get("SUBCLI_DATABASE") or None,
            problems_dir=problems,
            concurrency=concurrency,
            stop_with_stdin=stop_with_stdin,
        )
        try:
            run(settings, on_ready=lambda ready: _say_ready(common, ready))
        except ServeError as error:
            raise UsageError(error.message, hint=error.hint) from None
        return 0


def _say_ready(common: Common, ready: Ready) -> None:
    if common.json:
        print_json(
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
        sys.stdout.write(f"{ready.url}\n")
    else:
        server = "" if ready.url == "http://127.0.0.1:8000" else f" --server {ready.url}"
        sys.stdout.write(
            f"Serving on {ready.url}\n"
            f"  data in   {ready.data_dir}\n"
            f"  API docs  {ready.url}/docs\n"
            f"  demo mode: no login, this machine only; solutions run as you, without a sandbox\n"
            f"\nNext, in another terminal:\n"
            f"  subcli submit FILE --problem leader-election{server}\n"
            f"\nCtrl-C stops it; what is being judged then is judged again at the next start.\n"
        )
    sys.stdout.flush()


def require_server_extra() -> None:
    """
    Raises:
        UsageError: the server half is not installed.
    """
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn", "sqlalchemy", "alembic", "pytest") if find_spec(name) is None]
    if missing:
        raise UsageError(f"The server half is not installed ({', '.join(missing)}).", hint=INSTALL)


def default_data_dir() -> Path:
    """Where a server keeps its data unless told otherwise."""
    from platformdirs import user_data_path

    return user_data_path("subcli") / "server"
