"""The supervisor: a process that runs the tests of one submission, and the engine that talks to it."""
