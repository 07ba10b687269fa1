"""``subcli db``: check, back up and prune a server's database."""
