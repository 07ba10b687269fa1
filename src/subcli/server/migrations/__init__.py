"""Alembic's migrations, run by `subcli.server.database` when a server starts."""
