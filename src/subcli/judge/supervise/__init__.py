"""The supervisor, a process that judges one submission, and the engine that talks to it."""
