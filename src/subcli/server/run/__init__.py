"""Processes: serve, worker, their startup and shutdown."""
