"""Our modes and other servers, side by side on one folder: ``python -m bench.compare --help``."""
