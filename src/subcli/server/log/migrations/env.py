"""What Alembic runs. The connection, its transaction and its lock are the caller's."""

from __future__ import annotations

from alembic import context

from subcli.server.log.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
