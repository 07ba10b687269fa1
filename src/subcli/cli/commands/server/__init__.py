"""The commands of the server half: serve, worker, user."""
