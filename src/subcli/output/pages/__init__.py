"""The output of commands that do not watch: `list`, `status`, `problems`, `doctor`."""
