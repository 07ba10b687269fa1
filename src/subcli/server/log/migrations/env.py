"""Alembic's environment. The caller provides the connection and manages its transaction and its lock."""

from __future__ import annotations

from alembic import context

from subcli.server.log.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
