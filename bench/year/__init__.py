"""An operator's year on a server of several processes; see `bench.year.__main__`."""
