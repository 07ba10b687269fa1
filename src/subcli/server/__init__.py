"""The server half: REST, the gateway of live events, the log, and the workers that judge::

    from subcli.server import ServerSettings
    from subcli.server.run.serve import run

    run(ServerSettings(data_dir=Path("data")), on_ready=print)

Only the settings are imported here: FastAPI and SQLAlchemy take half a second.
"""

from subcli.server.settings import (
    Authentication,
    PasswordCost,
    Ready,
    ServeError,
    ServerLimits,
    ServerSettings,
    WorkerReady,
    WorkerSettings,
)

__all__ = [
    "Authentication",
    "PasswordCost",
    "Ready",
    "ServeError",
    "ServerLimits",
    "ServerSettings",
    "WorkerReady",
    "WorkerSettings",
]
