"""What the commands print that do not watch: `list`, `status`, `problems`, `doctor`."""
