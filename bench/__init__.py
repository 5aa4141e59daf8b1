"""Benchmarks: figures, never tests. ``make bench`` compares the modes with other servers."""
