"""The server half: REST, the gateway of live events, the log, and the workers that judge::

    from subcli.server import ServerSettings
    from subcli.server.run.serve import run

    run(ServerSettings(data_dir=Path("data")), on_ready=print)

Only the settings are imported here: FastAPI and SQLAlchemy take half a second.
"""

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

__all__ = [
    "Authentication",
    "Limits",
    "PasswordCost",
    "Ready",
    "ServeError",
    "ServerSettings",
    "WorkerReady",
    "WorkerSettings",
]
