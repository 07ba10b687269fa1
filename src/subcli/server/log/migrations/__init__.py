"""Alembic's migrations, run by `subcli.server.log.database` when a server starts."""
