"""Benchmarks against the alternatives. ``make bench`` runs them and writes docs/performance.md."""
