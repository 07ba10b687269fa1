"""The server half: REST, the gateway of live events, the log, and the workers that judge.

from subcli.server import ServerSettings, run
run(ServerSettings(data_dir=Path("data")), on_ready=print)
"""

from typing import TYPE_CHECKING

from subcli.server.settings import (
    Authentication,
    Limits,
    PasswordCost,
    Ready,
    ServeError,
    ServerSettings,
    WorkerReady,
    WorkerSettings,
)

if TYPE_CHECKING:
    from subcli.server.app import create_app
    from subcli.server.main import run
    from subcli.server.worker_process import run_worker

__all__ = [
    "Authentication",
    "Limits",
    "PasswordCost",
    "Ready",
    "ServeError",
    "ServerSettings",
    "WorkerReady",
    "WorkerSettings",
    "create_app",
    "run",
    "run_worker",
]


def __getattr__(name: str) -> object:
    # FastAPI and SQLAlchemy take half a second to import; the settings alone must not.
    if name == "run":
        from subcli.server.main import run

        return run
    if name == "run_worker":
        from subcli.server.worker_process import run_worker

        return run_worker
    if name == "create_app":
        from subcli.server.app import create_app

        return create_app
    raise AttributeError(name)
