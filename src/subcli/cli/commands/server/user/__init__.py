"""``subcli user``: manage the users of a server that runs with ``serve --auth``."""
