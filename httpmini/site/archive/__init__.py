"""A folder as one file: a tar or zip archive whose length is known before its first byte, and which is never stored."""

QUERIES = frozenset(("zip", "tar"))
"""The queries that ask for an archive of a folder, and say nothing else."""
