"""Benchmarks: they measure and never test. ``make bench`` compares the modes with other servers."""
