"""Settings: flags, variables, and the files that hold them."""
