"""The server: REST, the gateway for live events, the event log, and the workers that judge::

    from subcli.server import ServerSettings
    from subcli.server.run.serve import run

    run(ServerSettings(data_dir=Path("data")), on_ready=print)

Only the settings are imported here, because importing FastAPI and SQLAlchemy takes half a second.
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
