"""The commands. Each consists of options and a function that can be called without a shell."""
