"""A trial with many submissions: `python -m bench.herd`."""
