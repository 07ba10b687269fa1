"""The commands. Each is options, and a function that can be called without a shell."""
